import csv
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from noisewise.data.manifests import table
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.read import column, read, text_of
from noisewise.errors import DataError

ROWS = [
    {"path": "a.wav", "text": 'SAY "YES"', "speaker": "s1", "split": "train", "label": "x"},
    {"path": "sub/b.wav", "text": "NO", "speaker": "", "split": "test", "label": "y, z"},
]


@pytest.fixture
def folder(tmp_path: Path, save: object) -> Path:
    for row in ROWS:
        save(tmp_path / row["path"], 0.5)
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
    assert first.duration == 0.5 and first.sample_rate == 16_000


def test_a_plain_folder_is_every_audio_file_in_it(folder: Path) -> None:
    (folder / "notes.txt").write_text("not audio")
    assert [cut.id for cut in read(folder)] == ["a", "sub/b"]


def test_a_plain_folder_is_read_in_the_order_of_paths(tmp_path: Path, save: object) -> None:
    for name in ("b/a.wav", "b.wav", "b-1/x.flac", "b/b/c.wav", ".hidden/y.wav", "a.WAV", "b/0.wav"):
        save(tmp_path / name.lower(), 0.1).rename(tmp_path / name)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "c.wav").symlink_to(tmp_path / "b.wav")
    (tmp_path / "folder.wav").mkdir()
    expected = sorted(path for path in tmp_path.rglob("*.[wWf]*") if path.is_file() and path.parent.name != ".hidden")
    found = [tmp_path / row["path"] for _, row in table.entries(tmp_path)]
    assert found == expected and len(found) == 7


def test_the_header_of_the_file_wins_over_the_table(folder: Path) -> None:
    soundfile.write(folder / "slow.wav", [0.1] * 4000, 8000)
    (folder / "list.tsv").write_text("path\tduration_seconds\nslow.wav\t9.0\n")
    (cut,) = read(folder / "list.tsv")
    assert (cut.duration, cut.sample_rate) == (0.5, 8000)


def test_a_file_that_cannot_be_opened_stays_in_the_list(folder: Path) -> None:
    (folder / "list.tsv").write_text("path\tduration_seconds\ngone.wav\t2.5\na.wav\t0.5\n")
    cuts = list(read(folder / "list.tsv"))
    assert [(cut.id, cut.duration) for cut in cuts] == [("gone", 2.5), ("a", 0.5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path\ttext\na.wav\tYES\textra\n", r"line 2: must have 2 fields, but has 3"),
        ("sound\ttext\na.wav\tYES\n", r"must have a column `path`.*'sound', 'text'.*--columns path=COLUMN"),
        ("path\ttext\na.wav\tYES\n\na.flac\tNO\n", r"line 4: .*'a\.flac' has the id of line 2"),
    ],
)
def test_faults_of_a_table_name_the_line(folder: Path, content: str, message: str) -> None:
    (folder / "list.tsv").write_text(content)
    with pytest.raises(DataError, match=message):
        read(folder / "list.tsv")


def test_faults_of_json_lines(folder: Path) -> None:
    (folder / "list.jsonl").write_text('{"path": "a.wav"}\n{"path": \n')
    with pytest.raises(DataError, match="line 2: must be JSON"):
        read(folder / "list.jsonl")
    (folder / "list.jsonl").write_text('{"path": "a.wav"}\n["a"]\n')
    with pytest.raises(DataError, match="line 2: must be a JSON object"):
        read(folder / "list.jsonl")


def test_a_table_must_be_utf8(folder: Path) -> None:
    (folder / "list.tsv").write_bytes("path\ttext\na.wav\tOLÉ\n".encode("latin-1"))
    with pytest.raises(DataError, match="must be UTF-8"):
        read(folder / "list.tsv")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold manifest"):
        read(tmp_path)


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


@pytest.mark.parametrize("hidden", [".u1.0123.flac", "._u1.wav", ".left/u1.wav", "deep/.cache/u1.wav"])
def test_hidden_files_are_no_input(hidden: str, tmp_path: Path, save: Callable[..., Path]) -> None:
    """What a killed program has left, and what other systems keep beside files."""
    save(tmp_path / "u0.wav")
    save(tmp_path / hidden)
    assert [found.id for _, found in table.cuts(tmp_path) if isinstance(found, Cut)] == ["u0"]
