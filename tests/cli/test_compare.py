"""`noisewise compare` from two grids to tables and a figure."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from noisewise.cli import main as cli
from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise

UTTERANCES = [Utterance(f"u{index}", "s", "A B", 1.0) for index in range(40)]


def grid(name: str, right: int, sha: str = "") -> GridResult:
    """Clean speech is right; in noise the first `right` utterances are, and the others empty."""
    texts = ["A B"] * right + [""] * (40 - right)
    cells = [TextCell(CLEAN, ["A B"] * 40, {}, 0, "c")]
    for kind in ("car", "cafe"):
        cells += [TextCell(in_noise(kind, snr), texts, {}, 0, f"{kind}{snr}{sha}") for snr in (0.0, 5.0)]
    return replace(summarise(UTTERANCES, cells, GridConfig(manifest="")), system=f"command:{name} {{}}")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    grid("old", 10).save("a.json")
    grid("new", 30).save("b.json")
    grid("new", 30, sha="x").save("c.json")
    return tmp_path


def test_tables_and_utterances(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--markdown", "t.md", "--latex", "t.tex", "--csv", "t.csv"]
    assert cli.main(["compare", "a.json", "b.json", "--names", "old_one,new", "--utterances", "2", *files]) == 0
    shown = capsys.readouterr().out
    assert shown == (here / "t.md").read_text()
    assert "40 utterances, 80 words, noisewise-en-2" in shown
    assert "| WER (%) | old_one | new | new - old_one | p |" in shown
    assert "| clean | 0.0 | 0.0 | +0.0 (+0.0 to +0.0) | 1.000 |" in shown
    [car] = [line for line in shown.splitlines() if line.startswith("| car | 75.0 | 25.0 | -50.0 (-")]
    assert car.endswith("| <0.001 |")
    assert "| cafe | 75.0 / 25.0** | 75.0 / 25.0** |" in shown
    assert (
        "### Where new wins most over old_one\n\n- u10, car@0: 2 to 0 errors in 2 words\n  - reference: A B\n" in shown
    )
    assert "  - hypothesis: (empty)\n  - hypothesis: A B\n" in shown and "loses most to old_one\n\nnowhere" in shown
    text = (here / "t.tex").read_text()
    assert r"old\_one & new & new - old\_one & p \\" in text and text.count(r"\begin{tabular}") == 6


def test_every_number_is_in_the_csv(here: Path) -> None:
    assert cli.main(["compare", "a.json", "b.json", "--csv", "t.csv"]) == 0
    rows = list(csv.DictReader((here / "t.csv").open()))
    assert {row["system"] for row in rows} == {"old {}", "new {}"}
    assert {row["condition"] for row in rows} >= {"clean", "car@0", "cafe", "type_a", "all", "all@5"}
    row = next(row for row in rows if row["condition"] == "all" and row["system"] == "new {}")
    assert (row["wer"], row["difference"], row["baseline"]) == ("0.25", "-0.5", "old {}")
    assert (row["better"], row["worse"]) == ("20", "0") and float(row["sign_p"]) == pytest.approx(2 / 2**20, rel=1e-3)


def test_lines_over_snr(here: Path) -> None:
    pytest.importorskip("matplotlib")
    assert cli.main(["compare", "a.json", "b.json", "--figure", "t.svg"]) == 0
    assert (here / "t.svg").read_text().startswith("<?xml")


def test_other_mixtures_are_refused_in_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "a.json", "c.json", "--markdown", "t.md"]) == 2
    shown = capsys.readouterr()
    assert "has others in car@0" in shown.err and shown.err.count("\n") == 1
    assert not (here / "t.md").exists() and shown.out == ""
