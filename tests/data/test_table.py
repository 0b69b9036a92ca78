import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from noisewise.data.corpora import table
from noisewise.data.manifest import ManifestError, column, read, text_of

ROWS = [
    {"path": "a.wav", "text": 'SAY "YES"', "speaker": "s1", "split": "train", "label": "x"},
    {"path": "sub/b.wav", "text": "NO", "speaker": "", "split": "test", "label": "y, z"},
]


@pytest.fixture
def folder(tmp_path: Path, save: object) -> Path:
    for row in ROWS:
        save(tmp_path / row["path"], 0.5)  # type: ignore[operator]
    return tmp_path


def write(folder: Path, kind: str) -> Path:
    path = folder / f"list.{kind}"
    names = list(ROWS[0])
    if kind == "tsv":
        lines = ["\t".join(names), *("\t".join(row.values()) for row in ROWS)]
    elif kind == "csv":
        lines = [",".join(names), 'a.wav,"SAY ""YES""",s1,train,x', 'sub/b.wav,NO,,test,"y, z"']
    else:
        lines = [json.dumps(row) for row in ROWS]
    path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
def test_three_kinds_of_table_read_the_same(folder: Path, kind: str) -> None:
    first, second = read(write(folder, kind))
    assert (first.id, second.id) == ("a", "sub/b")
    assert (text_of(first), column(first, "speaker"), column(first, "label")) == ('SAY "YES"', "s1", "x")
    assert (column(second, "speaker"), column(second, "label")) == (None, "y, z")
    assert first.duration == 0.5 and first.recording.num_samples == 8000


def test_a_plain_folder_is_every_audio_file_in_it(folder: Path) -> None:
    (folder / "notes.txt").write_text("not audio")
    assert [cut.id for cut in read(folder)] == ["a", "sub/b"]


def test_the_header_of_the_file_wins_over_the_table(folder: Path) -> None:
    soundfile.write(folder / "slow.wav", [0.1] * 4000, 8000)
    (folder / "list.tsv").write_text("path\tduration_seconds\nslow.wav\t9.0\n")
    (cut,) = read(folder / "list.tsv")
    assert (cut.duration, cut.recording.sampling_rate) == (0.5, 8000)


def test_a_file_that_cannot_be_opened_stays_in_the_list(folder: Path) -> None:
    (folder / "list.tsv").write_text("path\tduration_seconds\ngone.wav\t2.5\na.wav\t0.5\n")
    cuts = list(read(folder / "list.tsv"))
    assert [(cut.id, cut.duration) for cut in cuts] == [("gone", 2.5), ("a", 0.5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path\ttext\na.wav\tYES\textra\n", r"line 2: must have 2 fields, but has 3"),
        ("file\ttext\na.wav\tYES\n", r"line 2: must have a `path`, but has \['file', 'text'\]"),
        ("path\ttext\na.wav\tYES\n\na.flac\tNO\n", r"line 4: .*'a\.flac' has the id of line 2"),
    ],
)
def test_faults_of_a_table_name_the_line(folder: Path, content: str, message: str) -> None:
    (folder / "list.tsv").write_text(content)
    with pytest.raises(ManifestError, match=message):
        read(folder / "list.tsv")


def test_faults_of_json_lines(folder: Path) -> None:
    (folder / "list.jsonl").write_text('{"path": "a.wav"}\n{"path": \n')
    with pytest.raises(ManifestError, match="line 2: must be JSON"):
        read(folder / "list.jsonl")
    (folder / "list.jsonl").write_text('{"path": "a.wav"}\n["a"]\n')
    with pytest.raises(ManifestError, match="line 2: must be a JSON object"):
        read(folder / "list.jsonl")


def test_a_table_must_be_utf8(folder: Path) -> None:
    (folder / "list.tsv").write_bytes("path\ttext\na.wav\tOLÉ\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="must be UTF-8"):
        read(folder / "list.tsv")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="must hold manifest"):
        read(tmp_path)


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
    lines = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["reason"] for line in lines) == ["bad_row", "empty", "silent"]


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


def test_a_killed_run_leaves_nothing_half_done(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    real = table.checked
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
    with pytest.raises(ManifestError, match="choose another folder"):
        table.prepare(str(speech), tmp_path / "out")
    record.write_text("{}")
    with pytest.raises(ManifestError, match="record of this program"):
        table.prepare(str(speech), tmp_path / "out")


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "list.tsv").write_text("path\ngone.wav\n")
    with pytest.raises(ManifestError, match=r"usable entry.*gone\.wav"):
        table.prepare(str(tmp_path / "list.tsv"), tmp_path / "out")
    with pytest.raises(ManifestError, match="no such path"):
        table.prepare(str(tmp_path / "nowhere"), tmp_path / "out")


WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=8)
NAME = WORD.filter(lambda name: not set(name) & set("/\\.#") and len(name.encode()) < 100)


@given(st.dictionaries(NAME, st.tuples(WORD, WORD), min_size=1, max_size=4), st.sampled_from(["tsv", "csv", "jsonl"]))
def test_what_is_written_is_what_is_read(rows: dict[str, tuple[str, str]], kind: str) -> None:
    columns = ("path", "text", "label")
    table = [(f"{name}.wav", text, label) for name, (text, label) in rows.items()]
    if kind == "tsv":
        content = "\n".join("\t".join(row) for row in (columns, *table))
    elif kind == "csv":
        file = io.StringIO(newline="")
        csv.writer(file).writerows([columns, *table])
        content = file.getvalue()
    else:
        content = "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in table)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"list.{kind}"
        path.write_bytes(content.encode())
        found = [(f"{cut.id}.wav", text_of(cut), column(cut, "label")) for cut in read(path)]
    assert found == table
