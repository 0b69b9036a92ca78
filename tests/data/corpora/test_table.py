import gc
import json
import os
import pathlib
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import soundfile

from noisewise.data.corpora import table
from noisewise.data.corpora.preparation import checked
from noisewise.data.manifests import table as tables
from noisewise.data.manifests.read import read
from noisewise.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, save: object) -> Path:
    save(tmp_path / "a.wav", 0.5)
    return tmp_path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_device_is_refused_and_not_waited_for(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe.wav")
    (folder / "endless.wav").symlink_to("/dev/zero")
    (folder / "list.tsv").write_text("path\npipe.wav\nendless.wav\na.wav\n")
    (part,) = table.prepare(folder / "list.tsv", tmp_path / "out")
    assert [(item.reason, item.message.partition("must be")[2]) for item in part.rejected] == [
        ("not_audio", " an audio file, but is a pipe instead; remove it"),
        ("not_audio", " an audio file, but is a device instead; remove it"),
    ]
    assert part.utterances == 1
    (folder / "list.tsv").unlink()
    assert all("pipe" not in cut.id for cut in read(folder, split=None))


def test_prepare_writes_a_manifest_for_each_split(speech: Path, tmp_path: Path) -> None:
    parts = table.prepare(str(speech), tmp_path / "out")
    assert {(part.file, part.utterances) for part in parts} == {
        ("cuts_train.jsonl.gz", 9),
        ("cuts_test.jsonl.gz", 3),
    }
    assert len(read(tmp_path / "out/cuts_train.jsonl.gz#speaker=s0")) == 5
    assert not (tmp_path / "out/rejected.jsonl").exists()
    assert not [path for path in (tmp_path / "out").iterdir() if "partial" in path.name]


def test_prepare_rejects_and_lists_what_is_bad(speech: Path, tmp_path: Path) -> None:
    (speech / "train/u1.flac").write_bytes(b"")
    soundfile.write(speech / "train/u2.flac", [0.0] * 8000, 16_000)
    with (speech / "manifest.tsv").open("a") as lines:
        lines.write("train/u3.flac\tonly two\n")
    parts = table.prepare(str(speech), tmp_path / "out")
    assert sum(part.utterances for part in parts) == 10
    rejected = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["reason"] for line in rejected) == ["bad_row", "empty", "silent"]


def test_prepare_again_does_only_what_has_changed(speech: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = table.prepare(str(speech), out)
    stamp = (out / "cuts_train.jsonl.gz").stat().st_mtime_ns
    assert [part.fresh for part in table.prepare(str(speech), out)] == [False, False]
    assert (out / "cuts_train.jsonl.gz").stat().st_mtime_ns == stamp
    (out / "cuts_test.jsonl.gz").write_bytes(b"half")  # as if it had been damaged
    again = table.prepare(str(speech), out)
    assert [(part.fresh, part.sha256) for part in again] == [
        (False, first[0].sha256),
        (True, first[1].sha256),
    ]
    (speech / "train/u1.flac").unlink()
    changed = table.prepare(str(speech), out)
    assert [(part.fresh, part.utterances) for part in changed] == [(True, 8), (False, 3)]


def test_what_a_table_rejects_is_listed_once_with_its_first_split(speech: Path, tmp_path: Path) -> None:
    rows = (speech / "manifest.tsv").read_text().splitlines()
    (speech / "manifest.tsv").write_text("\n".join([rows[0], rows[12], "x", *rows[1:12], rows[3]]) + "\n")
    parts = table.prepare(speech, tmp_path / "out")
    assert [(part.file, part.utterances, len(part.rejected)) for part in parts] == [
        ("cuts_test.jsonl.gz", 3, 2),
        ("cuts_train.jsonl.gz", 9, 0),
    ]
    assert [cut.id for cut in read(tmp_path / "out/cuts_test.jsonl.gz")] == ["test/u11", "test/u9", "test/u10"]
    assert [Path(item.path).name for item in parts[0].rejected] == ["manifest.tsv:3", "manifest.tsv:15"]


def test_a_changed_row_makes_its_split_anew(speech: Path, tmp_path: Path) -> None:
    table.prepare(speech, tmp_path / "out")
    content = (speech / "manifest.tsv").read_text()
    (speech / "manifest.tsv").write_text(content.replace("YES J", "NO J"))  # of test/u9
    assert [part.fresh for part in table.prepare(speech, tmp_path / "out")] == [False, True]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def at_the_end(cuts: Iterable[object]) -> Iterator[object]:  # instead of decoding, which is not what is measured
        yield from cuts
        gc.collect()  # empties the lists of freed tuples too
        shot = tracemalloc.take_snapshot()
        interned = tracemalloc.Filter(False, pathlib.__file__)  # the table of interned names grows in leaps
        held.append(sum(trace.size for trace in shot.filter_traces([interned]).traces))

    monkeypatch.setattr(tables, "_measured", lambda path: (16_000, 1_600))
    monkeypatch.setattr(table, "checked", at_the_end)
    for count in (500, 2_500):
        rows = "".join(f"sub/{'x' * 50}{index}.wav\t{'GO ' * 30}\n" for index in range(count))
        (tmp_path / "list.tsv").write_text(f"path\ttext\n{rows}")
        del rows
        tracemalloc.start()
        table.prepare(tmp_path / "list.tsv", tmp_path / f"out{count}")
        tracemalloc.stop()
    assert held[1] - held[0] < 2_000 * 20  # a row in memory takes a kilobyte


def test_a_killed_run_leaves_nothing_half_done(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    real = checked
    calls = []

    def killed(cuts: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(cuts)  # type: ignore[arg-type]

    monkeypatch.setattr(table, "checked", killed)
    with pytest.raises(KeyboardInterrupt):
        table.prepare(str(speech), out)
    assert (out / "cuts_train.jsonl.gz").exists() and not (out / "cuts_test.jsonl.gz").exists()
    monkeypatch.setattr(table, "checked", real)
    assert [part.fresh for part in table.prepare(str(speech), out)] == [False, True]


def test_another_corpus_is_not_overwritten(speech: Path, tmp_path: Path) -> None:
    table.prepare(str(speech), tmp_path / "out")
    record = tmp_path / "out/prepared.json"
    record.write_text(record.read_text().replace('"table"', '"an4"'))
    with pytest.raises(DataError, match="choose another folder"):
        table.prepare(str(speech), tmp_path / "out")
    record.write_text("{}")
    with pytest.raises(DataError, match="record of this program"):
        table.prepare(str(speech), tmp_path / "out")


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "list.tsv").write_text("path\ngone.wav\n")
    with pytest.raises(DataError, match=r"usable entry.*gone\.wav"):
        table.prepare(str(tmp_path / "list.tsv"), tmp_path / "out")
    with pytest.raises(DataError, match="no such path"):
        table.prepare(str(tmp_path / "nowhere"), tmp_path / "out")


def test_prepare_counts_texts_and_speakers(speech: Path, tmp_path: Path) -> None:
    content = (speech / "manifest.tsv").read_text().replace("YES J", "")  # of test/u9
    (speech / "manifest.tsv").write_text(content)
    train, test = table.prepare(speech, tmp_path / "out")
    assert [(part.utterances, part.texts, part.speakers) for part in (train, test)] == [(9, 9, 2), (3, 2, 2)]
    assert [(part.texts, part.fresh) for part in table.prepare(speech, tmp_path / "out")] == [(9, False), (2, False)]
    record = json.loads((tmp_path / "out/prepared.json").read_text())
    for part in record["parts"].values():  # as an older version wrote it
        del part["texts"], part["speakers"]
    (tmp_path / "out/prepared.json").write_text(json.dumps(record))
    assert [part.texts for part in table.prepare(speech, tmp_path / "out")] == [None, None]


def corpus(folder: Path, save: object, names: list[str], speakers: list[str] | None = None) -> Path:
    rows = []
    for index, name in enumerate(names):
        save(folder / name, 0.1, seed=index)
        rows.append(f"{name}\tYES\t{speakers[index] if speakers else ''}")
    (folder / "manifest.tsv").write_text("path\ttext\tspeaker\n" + "\n".join(rows) + "\n")
    return folder


def sides(out: Path, column: str | None = None) -> tuple[set[str], set[str]]:
    train, held = (read(f"{out}#split={split}") for split in ("train", "validation"))
    return ({str(getattr(cut, column) if column else Path(cut.id).parent) for cut in train},
            {str(getattr(cut, column) if column else Path(cut.id).parent) for cut in held})  # fmt: skip


def test_a_part_is_held_out_by_speaker(tmp_path: Path, save: object) -> None:
    names = [f"{index}.wav" for index in range(40)]
    folder = corpus(tmp_path / "in", save, names, [f"s{index % 10}" for index in range(40)])
    parts = table.prepare(folder, tmp_path / "out", hold_out=0.2)
    assert [(part.file, part.utterances) for part in parts] == [
        ("cuts_train.jsonl.gz", 32),
        ("cuts_validation.jsonl.gz", 8),
    ]
    train, held = sides(tmp_path / "out", "speaker")
    assert len(held) == 2 and len(train) == 8 and not train & held
    again = table.prepare(folder, tmp_path / "out", hold_out=0.2)
    assert not any(part.fresh for part in again)
    table.prepare(folder, tmp_path / "other", hold_out=0.2, seed=1)
    assert sides(tmp_path / "other", "speaker")[1] != held


@pytest.mark.parametrize("speakers", [None, ["ann"], ["ann", "bob"]])
def test_with_few_speakers_folders_or_files_are_held_out(
    tmp_path: Path, save: object, speakers: list[str] | None
) -> None:
    names = [f"f{index % 5}/{index}.wav" for index in range(20)]
    folder = corpus(tmp_path / "in", save, names, speakers and [*speakers * 20][:20])
    table.prepare(folder, tmp_path / "folders", hold_out=0.2)
    train, held = sides(tmp_path / "folders")
    assert len(held) == 1 and len(train) == 4 and not train & held
    table.prepare(folder, tmp_path / "files", hold_out=0.1)  # five folders are too few for a tenth
    assert len(read(tmp_path / "files", split="validation")) == 2
    assert len(read(tmp_path / "files")) == 20


def test_other_splits_are_left_alone_and_old_parts_go(speech: Path, tmp_path: Path) -> None:
    table.prepare(speech, tmp_path / "out")
    parts = table.prepare(speech, tmp_path / "out", hold_out=0.3)
    assert [part.file for part in parts] == [f"cuts_{name}.jsonl.gz" for name in ("train", "validation", "test")]
    assert sum(part.utterances for part in parts) == len(read(tmp_path / "out")) == 12
    with pytest.raises(DataError, match=r"hold out of and none held out, but has 'validation'; drop --hold-out"):
        rows = (speech / "manifest.tsv").read_text().replace("\ttest\t", "\tvalidation\t")
        (speech / "manifest.tsv").write_text(rows)
        table.prepare(speech, tmp_path / "new", hold_out=0.3)
    table.prepare(speech, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").glob("cuts*")) == [
        "cuts_train.jsonl.gz",
        "cuts_validation.jsonl.gz",
    ]


def test_one_recording_cannot_be_divided(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have two recordings to hold one out"):
        table.prepare(folder, tmp_path / "out", hold_out=0.5)


def test_a_prepared_folder_is_not_prepared_again(speech: Path, tmp_path: Path) -> None:
    table.prepare(speech, tmp_path / "out")
    with pytest.raises(DataError, match="is a prepared folder; it is a manifest as it is"):
        table.prepare(tmp_path / "out", tmp_path / "again")
