from pathlib import Path
from typing import Any

import pytest

from noisewise.data.manifests import delimited, lines
from noisewise.data.manifests.columns import Columns
from noisewise.errors import DataError


def read(path: Path, content: str, columns: Columns | None = None) -> list[Any]:
    path.write_bytes(content.encode())
    return [row for _, row in delimited.rows(path, columns)]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
def test_the_delimiter_is_told_by_the_columns(tmp_path: Path, suffix: str, delimiter: str) -> None:
    content = f"text{delimiter}file\nOne: two{delimiter}a.wav\n"
    assert read(tmp_path / f"t{suffix}", content) == [{"text": "One: two", "path": "a.wav"}]


@pytest.mark.parametrize(
    ("name", "line", "row"),
    [
        ("t.csv", "a.wav,YES", {"path": "a.wav", "text": "YES"}),
        ("t.csv", 'a.wav;"Yes, no"', {"path": "a.wav", "text": "Yes, no"}),
        ("t.tsv", "a, b.wav\tYes, no", {"path": "a, b.wav", "text": "Yes, no"}),
        ("list.txt", "wavs/a.wav|Yes, no; \"so\"", {"path": "wavs/a.wav", "text": 'Yes, no; "so"'}),
        ("list.txt", "wavs/a.wav|12|Yes, no", {"path": "wavs/a.wav", "speaker": "12", "text": "Yes, no"}),
        ("metadata.csv", "LJ1|No. 1, b|One, b", {"path": "LJ1", "raw_text": "No. 1, b", "text": "One, b"}),
        ("t.txt", "a.wav", {"path": "a.wav"}),
    ],
)  # fmt: skip
def test_a_table_without_a_header(tmp_path: Path, name: str, line: str, row: dict[str, str]) -> None:
    assert read(tmp_path / name, f"{line}\n{line}\n") == [row, row]


def test_columns_by_number_and_by_name(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", "YES,x,a\n", {"path": "3", "text": "1"}) == [
        {"text": "YES", "column2": "x", "path": "a"}
    ]
    assert read(tmp_path / "t.tsv", "words\tsound\nYES\ta\n", {"path": "sound", "text": "words"}) == [
        {"text": "YES", "path": "a"}
    ]
    with pytest.raises(DataError, match="must have a column 4 for `path`, but has 3"):
        read(tmp_path / "t.csv", "YES,x,a\n", {"path": "4"})
    with pytest.raises(DataError, match=r"must have the column 'sund'.*did you mean 'sound'"):
        read(tmp_path / "t.csv", "words,sound\n", {"path": "sund"})
    with pytest.raises(DataError, match="must have the column 'sund'"):
        read(tmp_path / "t.csv", "a.wav,YES\n", {"path": "sund"})


def test_what_cannot_be_told_is_named_with_the_line_that_works(tmp_path: Path) -> None:
    for content in ("id,words\n1,YES\n", "a.wav,x,YES,y\n"):
        with pytest.raises(DataError, match=r"must have a column `path`.*prepare table .*t\.csv OUT --columns path="):
            read(tmp_path / "t.csv", content)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_breaks_in_quotes_are_part_of_a_field(tmp_path: Path, end: str) -> None:
    content = f'path,text{end}a.wav,"ENTER SIX{end}{end}TWO ""FOUR"""{end}b.wav,NO{end}'
    assert read(tmp_path / "t.csv", content) == [
        {"path": "a.wav", "text": f'ENTER SIX{end}TWO "FOUR"'},
        {"path": "b.wav", "text": "NO"},
    ]
    lines_of = [line for line, _ in delimited.rows(tmp_path / "t.csv")]
    assert lines_of == [4, 5]


def test_tsv_is_read_without_quoting(tmp_path: Path) -> None:
    assert read(tmp_path / "t.tsv", 'path\ttext\na.wav\t"YES\n') == [{"path": "a.wav", "text": '"YES'}]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('a.wav,"YES\nb.wav,NO\n', "line 3: must be CSV, but is not: unexpected end of data; close"),
        ('a.wav,"YES"x\n', "line 3: must be CSV, but is not"),
        ("a.wav,YES,extra\n", "line 3: must have 2 fields, but has 3"),
        ("a.wav\rb.wav,x\n", "line 3: must be CSV, but is not: new-line character"),
    ],
)
def test_a_bad_row_is_an_error_of_its_line_and_the_others_are_kept(tmp_path: Path, bad: str, message: str) -> None:
    first, second, *_ = read(tmp_path / "t.csv", f"path,text\ngood.wav,YES\n{bad}")
    assert first == {"path": "good.wav", "text": "YES"}
    assert isinstance(second, DataError)
    with pytest.raises(DataError, match=message):
        raise second


def test_a_quote_that_is_never_closed_has_the_budget_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_LINE_BYTES", 1000)
    with pytest.raises(DataError, match="line 2: must be a row of at most 1000 bytes, but its quote is not closed"):
        read(tmp_path / "t.csv", 'path,text\na.wav,"YES\n' + "b.wav,NO\n" * 200)


def test_a_hundred_thousand_columns(tmp_path: Path) -> None:
    names = ",".join(f"c{number}" for number in range(100_000))
    with pytest.raises(DataError, match=r"and \d+ more") as found:
        read(tmp_path / "t.csv", f"{names}\n")
    assert len(str(found.value)) < 1000
    assert read(tmp_path / "u.csv", f"path,{names}\na.wav,x\n")[0].args[0].startswith(f"`{tmp_path}/u.csv`, line 2")


def test_an_empty_table_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", "") == read(tmp_path / "t.tsv", "\n \n") == []
    assert vars(delimited)["MAX_LINE_BYTES"] == lines.MAX_LINE_BYTES
