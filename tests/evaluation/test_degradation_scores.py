"""Degradation of cells and groups, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import CLEAN, degraded_by
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.degradation_scores import normalised
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise
from noisewise.reports.comparison import compare
from noisewise.reports.comparison_table import markdown

UTTERANCES = [Utterance(f"u{place}", f"u{place}", "A B C D", 1.0) for place in range(20)]
KEYS = [degraded_by("srb_gnoise", 10), degraded_by("srb_gnoise", 0), degraded_by("srb_gain", 40)]


def grid(*wrong: int) -> GridResult:
    cells = [
        TextCell(one, [" ".join("X" * count + "ABCD"[count:])] * 20, {}, 0, one.key)
        for one, count in zip((CLEAN, *KEYS), wrong, strict=True)
    ]
    return summarise(UTTERANCES, cells, GridConfig(manifest="", suite="srb", bootstrap_samples=20))


def test_degradation_of_cells_and_groups() -> None:
    found = grid(1, 2, 4, 0).werd
    assert {name: rate.value for name, rate in found.items()} == {
        "srb_gnoise@10": 0.25, "srb_gnoise@0": 0.75, "srb_gain@40": 0.0, "white noise": 0.5, "audio processing": 0.0,
        "all": pytest.approx(1 / 3),
    }  # fmt: skip
    assert found["white noise"].ci == [0.5, 0.5]


def test_normalised_by_the_difficulty_for_a_baseline() -> None:
    system, baseline = grid(0, 1, 2, 1), grid(0, 1, 4, 1)
    rates = np.array([0.25, 1.0, 0.25])
    q = 25 * (rates - rates.mean()) / rates.std() + 50
    each = 100 * np.array([0.25, 0.5, 0.25]) / q
    found = normalised(system, baseline)
    assert found["white noise"] == pytest.approx(each[:2].mean()) and found["all"] == pytest.approx(each.mean())
    text = markdown(compare([replace(baseline, system="base"), replace(system, system="new")]))
    assert "new, NWERD" in text and f"{each[:2].mean():.2f}" in text
    with pytest.raises(EvaluationError, match="lacks srb_gain@40"):
        normalised(system, replace(baseline, cells=baseline.cells[:2]))
