"""The tables of a comparison, and its list of utterances."""

import csv
import io

import pytest

from noisewise.reports.comparison import compare
from noisewise.reports.comparison_table import comma_separated, latex, markdown
from tests.reports.test_comparison import ALL, BASE, NONE, OTHER, SOME, grid


def test_the_head_names_baseline_unit_and_what_is_left_out() -> None:
    head = markdown(compare([BASE, grid("small", NONE, ALL, SOME)], unit="speaker")).split("\n\n")[0]
    assert head.startswith("12 utterances, 24 words, noisewise-en-2. Differences are to base")
    assert "(speakers)" in head and head.endswith("left out: babble@0, babble@5.")


def test_tables_by_type_by_ratio_and_of_every_cell() -> None:
    text = markdown(compare([BASE, OTHER]))
    assert text.count("| --- |") == 6
    assert "| traffic | 62.5 | 25.0 | -37.5 (" in text and "| type A | 62.5 | 25.0 | -37.5 (" in text
    assert "| 0 dB | 100.0 | 62.5 | -37.5 (" in text
    assert "| traffic | 100.0 / 25.0** | 25.0 / 25.0 |" in text, "two stars where p is below 0.05 after the correction"
    assert latex(compare([BASE, OTHER])).count(r"\begin{tabular}") == 6


def test_utterances_are_listed_with_reference_and_hypotheses() -> None:
    text = markdown(compare([BASE, OTHER]), utterances=1)
    assert "### Where other wins most over base\n\n- u1, traffic@0: 2 to 0 errors in 2 words\n" in text
    assert "  - reference: A B\n  - hypothesis: X X\n  - hypothesis: A B\n" in text
    assert "nowhere" in markdown(compare([BASE, BASE], ["a", "b"]), utterances=1)


def test_the_csv_has_empty_fields_for_the_baseline() -> None:
    rows = list(csv.DictReader(io.StringIO(comma_separated(compare([BASE, OTHER])))))
    assert [row["system"] for row in rows[:2]] == ["base", "other"]
    first, second = (
        next(row for row in rows if (row["condition"], row["system"]) == ("all", n)) for n in ("base", "other")
    )
    assert (first["wer"], first["difference"], second["wer"], second["difference"]) == (
        "0.5625",
        "",
        "0.375",
        "-0.1875",
    )


HOSTILE = ["=1+1", "<script>alert(1)</script>", "|x$^~\\\x1b[2J\n# y", "@SUM(A1)", "`<b>`"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_foreign_results_are_text_and_no_more(name: str) -> None:
    comparison = compare([BASE, OTHER], [name, "other"], unit="utterance")
    text, tabular, rows = markdown(comparison, 1), latex(comparison), comma_separated(comparison)
    assert "<script" not in text and "<b>" not in text and "\n# y" not in text
    assert not {"\x1b", "^"} & set(tabular.replace(r"\textasciicircum", "")) and "~" not in tabular
    assert "\x1b" not in text + tabular + rows
    for row in csv.reader(io.StringIO(rows)):
        assert not [cell for cell in row if cell[:1] in tuple("=+@") or (cell[:1] == "-" and not float(cell))]
