"""Figures are written in the format of their suffix; names are no mathematics."""

from pathlib import Path

import pytest

from noisewise.errors import EvaluationError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from noisewise.reports.figures.save import save


def test_the_suffix_names_the_format_and_a_dollar_is_a_dollar(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1))
    figure.suptitle("$a$ and $b")
    save(figure, tmp_path / "a.png")
    save(figure, tmp_path / "a.svg")
    save(figure, tmp_path / "small.png", dpi=50)
    assert (tmp_path / "a.png").read_bytes()[16:24] == (300).to_bytes(4, "big") + (150).to_bytes(4, "big")
    assert (tmp_path / "small.png").read_bytes()[16:20] == (100).to_bytes(4, "big")
    assert "<svg" in (tmp_path / "a.svg").read_text()
    with pytest.raises(EvaluationError, match="must end in a format"):
        save(figure, tmp_path / "a.xyz")
