"""Tables, cell by cell."""

from dataclasses import replace
from pathlib import Path

import pytest

from noisewise.evaluation.conditions import CLEAN, degraded_by, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise
from noisewise.reports import tables as table

UTTERANCES = [Utterance(f"u{index}", "s", "A B C D", 1.0) for index in range(2)]
RIGHT, HALF, EMPTY = ["A B C D"] * 2, ["A B"] * 2, [""] * 2


def result(system: str = "models/mine") -> GridResult:
    cells = [
        TextCell(CLEAN, RIGHT, {}, 0, ""),
        TextCell(in_noise("traffic", 0.0), EMPTY, {}, 0, ""),
        TextCell(in_noise("traffic", 5.0), HALF, {}, 0, ""),
        TextCell(in_noise("ac_vacuum", 0.0), HALF, {}, 0, ""),
        TextCell(in_noise("ac_vacuum", 5.0), RIGHT, {}, 0, ""),
    ]
    return replace(summarise(UTTERANCES, cells, GridConfig(manifest="")), system=system)


GRID = """\
| WER (%) | 0 dB | 5 dB | mean |
| --- | ---: | ---: | ---: |
| traffic | 100.0 | 50.0 | 75.0 |
| ac vacuum | 50.0 | 0.0 | 25.0 |
| type A | 100.0 | 50.0 | 75.0 (75.0 to 75.0) |
| type B | 50.0 | 0.0 | 25.0 (25.0 to 25.0) |
| all types | 75.0 | 25.0 | 50.0 (50.0 to 50.0) |
| clean |  |  | 0.0 (0.0 to 0.0) |

| SNR (dB) at which WER | doubles | reaches 50 % |
| --- | ---: | ---: |
| traffic | undefined | 5.0 (5.0 to 5.0) |
| ac vacuum | undefined | 0.0 (0.0 to 0.0) |
| all types | undefined | 2.5 (2.5 to 2.5) |
"""


def test_one_result_is_a_grid() -> None:
    assert table.markdown([result()]) == GRID


def test_several_results_are_compared() -> None:
    lines = table.markdown([result(), result("python:bench.pocket_sphinx:transcribe")]).splitlines()
    rates = "0.0 (0.0 to 0.0) | 75.0 (75.0 to 75.0) | 25.0 (25.0 to 25.0) | 50.0 (50.0 to 50.0) | 50.0 |"
    assert lines[2:] == [f"| mine | {rates}", f"| pocket sphinx | {rates}"]


def test_latex_has_the_same_cells_and_escapes() -> None:
    text = table.latex([result()])
    assert r"\begin{tabular}{lrrr}" in text and r"WER (\%) & 0 dB & 5 dB & mean \\" in text
    assert r"ac vacuum & 50.0 & 0.0 & 25.0 \\" in text
    assert r"a\_b\#c \& d" in table.latex([result("command:a_b#c & d"), result()])


def test_degradations_have_a_line_for_each_level() -> None:
    cells = [TextCell(CLEAN, RIGHT, {}, 0, "")]
    cells += [TextCell(degraded_by(*one), HALF, {}, 0, "") for one in (("loss", 20), ("clip", 6), ("loss", 5))]
    found = replace(summarise(UTTERANCES, cells, GridConfig(manifest="")), system="mine")
    half = "50.0 (50.0 to 50.0)"
    lines = table.markdown([found]).splitlines()
    assert lines[0] == "| degradation | level | WER (%) |" and lines[2] == "| clean |  | 0.0 (0.0 to 0.0) |"
    assert lines[3:6] == [f"| loss | 20 % | {half} |", f"| loss | 5 % | {half} |", f"| loss | mean | {half} |"]
    assert lines[6] == f"| clip | 6 dB | {half} |"
    assert table.markdown([found, found]).splitlines()[2] == f"| mine | 0.0 (0.0 to 0.0) | {half} | {half} |"


@pytest.mark.parametrize(
    ("recogniser", "expected"),
    [
        ("box", "box"),
        ("runs/one/best", "best"),
        ("command:asr --fast {}", "asr --fast {}"),
        ("python:a.b_c:d", "b c"),
        ("hf:models/base", "base"),
        ("openai:http://a:1/v1#tiny&language=en", "tiny"),
        ("openai:http://a:1/v1", "a:1"),
    ],
)
def test_labels(recogniser: str, expected: str) -> None:
    assert table.label(result(recogniser)) == expected


def test_the_program_prints_a_stored_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result().save(tmp_path / "r.json")
    table.main([str(tmp_path / "r.json")])
    assert capsys.readouterr().out == GRID
    table.main(["--latex", str(tmp_path / "r.json")])
    assert r"\toprule" in capsys.readouterr().out
