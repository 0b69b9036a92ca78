"""`noisewise card` from two results to a page and its figure."""

import json
from pathlib import Path

import pytest

from noisewise.cli import main as cli
from tests.reports.test_card import degraded, noise


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    noise().save("grid.json")
    degraded().save("degraded.json")
    words = ["card", "runs/mine", "--grid", "grid.json", "--degradations", "degraded.json"]
    assert cli.main([*words, "-o", "out/card.md"]) == 0
    assert capsys.readouterr().out.startswith("mine: 65.6 of 100 (")
    assert "](card.png)" in (tmp_path / "out" / "card.md").read_text()
    assert (tmp_path / "out" / "card.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main([*words, "-o", "a.md", "--figure", "pictures/a.svg", "--numbers", "card.json"]) == 0
    assert json.loads((tmp_path / "card.json").read_text())["score"] == 65.62
    assert "](pictures/a.svg)" in (tmp_path / "a.md").read_text()
    assert cli.main(["card", "box", *words[2:], "-o", "b.md"]) == 2
    assert "must be of `box`" in capsys.readouterr().err and not (tmp_path / "b.md").exists()
