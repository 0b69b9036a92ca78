import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from noisewise.data.manifests import folders, table
from noisewise.data.manifests.lhotse_format import dump
from noisewise.data.manifests.read import read
from noisewise.errors import DataError

Write = Callable[[Path, dict[str, str]], Path]


@pytest.fixture
def write(save: object) -> Write:
    """Write files, audio by its suffix and text otherwise."""

    def files(folder: Path, content: dict[str, str]) -> Path:
        for name, text in content.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (".wav", ".flac"):
                save(path, 0.2)
            else:
                path.write_bytes(text.encode())
        return folder

    return files


def texts(folder: Path) -> dict[str, str | None]:
    return {cut.id: cut.text for cut in read(folder)}


@pytest.mark.parametrize("suffix", folders.SIDECARS)
def test_text_beside_the_audio(tmp_path: Path, write: Write, suffix: str) -> None:
    content = {
        "a.wav": "",
        f"a{suffix}": "\ufeffYES\u2028it\r\nis \n",
        "s/b.wav": "",
        f"s/b{suffix}": "NO",
        "c.wav": "",
    }
    assert texts(write(tmp_path, content)) == {"a": "YES it is", "s/b": "NO", "c": None}


def test_a_sidecar_that_is_no_text_is_an_error_of_its_file(tmp_path: Path, write: Write) -> None:
    write(tmp_path, {"a.wav": "", "a.txt": "A\0", "b.wav": "", "b.lab": "0 100 sil\n100 2000 ah -3.5\n"})
    (_, bad), (_, aligned) = table.entries(tmp_path)
    assert isinstance(bad, DataError) and "a.txt`, line 1: must be text" in str(bad)
    assert aligned == {"path": "b.wav"}


HF = {"a.wav": "", "b.flac": ""}
CSV = 'file_name,transcription\na.wav,"YES,\nIT IS"\nb.flac,NO\n'
JSONL = '{"file_name": "a.wav", "text": "YES, IT IS"}\n{"file_name": "b.flac", "text": "NO"}\n'


@pytest.mark.parametrize(("name", "content"), [("metadata.csv", CSV), ("metadata.jsonl", JSONL)])
def test_audio_folders_of_hugging_face(tmp_path: Path, write: Write, name: str, content: str) -> None:
    assert texts(write(tmp_path, {**HF, name: content})) == {"a": "YES, IT IS", "b": "NO"}


def test_audio_folders_with_a_folder_for_each_split(tmp_path: Path, write: Write) -> None:
    for split in ("train", "test"):
        write(tmp_path / "data" / split, {**HF, "metadata.csv": CSV})
    assert {cut.id for cut in read(f"{tmp_path}#split=test")} == {"data/test/a", "data/test/b"}
    names = "".join(f"{split}/{name}.wav,X\n" for split in ("train", "validation") for name in "ab")
    whole = write(
        tmp_path / "one", {**{f"{split}/{name}.wav": "" for split in ("train", "validation") for name in "ab"}}
    )
    (whole / "metadata.csv").write_text(f"file_name,text\n{names}")
    assert {cut.id for cut in read(f"{whole}#split=validation")} == {"validation/a", "validation/b"}


def test_ljspeech(tmp_path: Path, write: Write) -> None:
    rows = 'LJ001-0001|Dr. "A", 1|Doctor "A", one\nLJ001-0002|only, one|only, one\n'
    write(tmp_path, {"metadata.csv": rows, "wavs/LJ001-0001.wav": "", "wavs/LJ001-0002.wav": ""})
    assert texts(tmp_path) == {"wavs/LJ001-0001": 'Doctor "A", one', "wavs/LJ001-0002": "only, one"}


def test_deepspeech_and_common_voice(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "d", {"train.csv": "wav_filename,wav_filesize,transcript\na.wav,6444,yes\n", "a.wav": ""})
    assert [(cut.id, cut.text, cut.custom["split"]) for cut in read(tmp_path / "d")] == [("a", "yes", "train")]
    rows = "client_id\tpath\tsentence\nx1\ta.wav\tYes, it is\n"
    write(tmp_path / "c", {"train.tsv": rows, "test.tsv": rows.replace("a.wav", "b.wav"), "clips/a.wav": ""})
    write(tmp_path / "c", {"clips/b.wav": ""})
    (cut,) = read(f"{tmp_path}/c#split=test")
    assert (cut.id, cut.speaker, cut.text) == ("clips/b", "x1", "Yes, it is")


def test_trees_like_librispeech(tmp_path: Path, write: Write) -> None:
    write(tmp_path, {"dev-clean/84/12/84-12.trans.txt": "84-12-0000 YES\u2028IT IS\n84-12-0001 NO\n84-12-0002\n"})
    write(tmp_path, {"dev-clean/84/12/84-12-0000.flac": "", "dev-clean/84/12/84-12-0001.wav": ""})
    rows = [row for _, row in table.entries(tmp_path)]
    assert isinstance(rows[2], DataError) and "must read `ID WORDS`" in str(rows[2])
    assert rows[0] == {
        "path": "dev-clean/84/12/84-12-0000.flac",
        "text": "YES IT IS",
        "utterance": "84-12-0000",
        "speaker": "84",
        "split": "dev-clean",
    }
    assert isinstance(rows[1], dict) and rows[1]["path"].endswith("0001.wav")


def test_other_tables_count_only_where_their_files_are_there(tmp_path: Path, write: Write) -> None:
    """A folder of noises with a list of something else stays a plain folder, whatever is in the list."""
    odd = {"notes.csv": "file,year\nbook.pdf,1999\n", "x.json": '{"a": [', "metadata.csv": "k,v\n1,2\n"}
    write(tmp_path, {"a.wav": "", **odd})
    assert texts(tmp_path) == {"a": None}
    write(tmp_path, {"list.csv": "file;sentence\na.wav;YES\n"})
    assert texts(tmp_path) == {"a": "YES"}
    write(tmp_path, {"other.csv": "file;sentence\na.wav;NO\n"})  # which of the two cannot be told
    assert texts(tmp_path) == {"a": None}


def test_metadata_that_is_broken_is_not_passed_over(tmp_path: Path, write: Write) -> None:
    write(tmp_path, {"a.wav": "", "metadata.csv": "file_name,text\ngone.wav,NO,x\na.wav,YES\n"})
    (_, bad), (_, good) = table.entries(tmp_path)
    assert "must have 2 fields" in str(bad) and good == {"path": "a.wav", "text": "YES"}
    (tmp_path / "metadata.csv").write_bytes("file_name,text\na.wav,OL\u00c9\n".encode("cp1252"))
    with pytest.raises(DataError, match="must be UTF-8"):
        read(tmp_path)


def test_columns_are_of_the_one_table(tmp_path: Path, write: Write) -> None:
    write(tmp_path, {"a.wav": "", "list.csv": "sound,words\na.wav,YES\n"})
    (_, row), *_ = table.entries(tmp_path, {"path": "sound", "text": "words"})
    assert row == {"path": "a.wav", "text": "YES"}
    (tmp_path / "list.csv").unlink()
    with pytest.raises(DataError, match="must hold one table for `--columns`"):
        list(table.entries(tmp_path, {"path": "sound"}))


def test_a_folder_without_audio_names_the_table_in_it(tmp_path: Path, write: Write) -> None:
    write(tmp_path, {"words.csv": "id,word\n1,YES\n"})
    with pytest.raises(DataError, match=r"has neither; .*`noisewise prepare table .*words\.csv OUT --columns"):
        read(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_name_that_is_not_utf8_is_an_error_of_its_file(tmp_path: Path, write: Write) -> None:
    write(tmp_path, {"a.wav": "", "b.wav": ""})
    os.rename(tmp_path / "b.wav", os.fsencode(tmp_path) + b"/b\xff.wav")
    good, bad = (row for _, row in table.entries(tmp_path))
    assert good == {"path": "a.wav"} and "must be a name in UTF-8" in str(bad)


@pytest.mark.parametrize("value", [["x"], {"a": 1}, "\ud800"])
def test_odd_values_of_text_are_named_or_cleaned(tmp_path: Path, value: object) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"path": "a.wav", "text": value}))
    ((_, row),) = table.entries(tmp_path / "t.jsonl")
    assert (isinstance(row, DataError) and "`text` must be text" in str(row)) or row["text"] == "\ufffd"


@pytest.mark.parametrize("start", ["-1", "nan", "inf", "x", "1e999", "1e300"])
def test_a_part_must_begin_at_a_time(tmp_path: Path, start: str) -> None:
    (tmp_path / "t.csv").write_text(f"path,start_seconds\na.wav,{start}\n")
    ((_, row),) = table.entries(tmp_path / "t.csv")
    assert isinstance(row, DataError) and "`start_seconds` must be 0 or more seconds" in str(row)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".wav", "a/" * 3000 + "b.wav", "\u00e9" * 200])
def test_a_name_that_no_file_can_have_is_an_error_of_its_row(tmp_path: Path, write: Write, name: str) -> None:
    write(tmp_path, {"a.wav": "", "list.csv": f"path,text\na.wav,YES\n{name},NO\n"})
    for source in (tmp_path, tmp_path / "list.csv"):
        (_, good), (_, bad) = table.entries(source)
        assert good == {"path": "a.wav", "text": "YES"} and "too long" in str(bad) and len(str(bad)) < 500
    (tmp_path / "only.csv").write_text(f"{name},NO\n")
    with pytest.raises(DataError):
        read(tmp_path / "only.csv")


@pytest.mark.parametrize("field", ["start", "duration"])
@pytest.mark.parametrize("value", [1e300, 1e999, -1, [], "1"])
def test_times_of_a_cut_are_those_of_a_recording(tmp_path: Path, write: Write, field: str, value: object) -> None:
    (cut,) = read(write(tmp_path, {"a.wav": ""}))
    (tmp_path / "cuts.jsonl").write_text(json.dumps({**dump(cut), field: value}))
    with pytest.raises(DataError, match="line 1"):
        read(tmp_path / "cuts.jsonl")
