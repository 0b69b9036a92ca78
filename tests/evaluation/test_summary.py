"""Rows, means and draws of what any task has scored."""

import numpy as np
import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.conditions import CLEAN, Condition, degraded_by, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.summary import Scored, check_unit, draws, summarise
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell

ITEMS = [Utterance(f"u{index}", f"s{index // 2}", "A", 1.25) for index in range(4)]
CONFIG = GridConfig(manifest="an4", bootstrap_unit="speaker", bootstrap_samples=3)


def scored(condition: Condition, value: float, resampled: list[float]) -> Scored:
    cell = TextCell(condition, [""] * 4, {"u1": "slept"}, 2, condition.key)
    return Scored(cell, {"rate": value, "other": 1.0}, {"rate": np.array(resampled)}, [0, 1, 0, 0], [""] * 4, {"S": 1})


def test_rows_and_means_have_the_metrics_that_were_scored() -> None:
    conditions = (CLEAN, in_noise("car", 0), in_noise("car", 5), degraded_by("clip", 6))
    rows = [scored(one, value, [value] * 3) for one, value in zip(conditions, (0.0, 0.5, 0.1, 0.9), strict=True)]
    result = summarise(ITEMS, rows, CONFIG, task="recognition", lengths=[1] * 4)
    assert (result.items, result.groups, result.seconds) == (4, 2, 5.0)
    assert list(result.rows) == ["clean", "car@0", "car@5", "clip@6"]
    assert (result.noise_types, result.snrs_db, result.degradations) == (["car"], [0.0, 5.0], ["clip"])
    row = result.cell("car", 5)
    assert (row.value("rate"), row.failures, row.scaled, row.counts) == (0.1, 1, 2, {"S": 1})
    assert row.ci("other") == (1.0, 1.0), "a metric without resamples has no interval of its own"
    assert result.averages["all"].value("rate") == pytest.approx(0.3), "degradations are no part of it"
    assert result.averages["all"].ci("rate") == pytest.approx((0.3, 0.3))
    assert result.averages["clip"].value("rate") == 0.9 and result.averages["clip"].names == ["clip"]


def test_whole_speakers_are_drawn() -> None:
    times = draws(ITEMS, CONFIG)
    assert times.shape == (3, 4) and (times[:, 0] == times[:, 1]).all() and (times[:, 2] == times[:, 3]).all()


def test_what_cannot_be_resampled_is_refused() -> None:
    def config(unit: str) -> GridConfig:
        return GridConfig(manifest="an4", bootstrap_unit=unit)

    with pytest.raises(NoisewiseError, match="must be auto, utterance, speaker, hierarchical or a column"):
        check_unit(ITEMS, config("word"))
    with pytest.raises(NoisewiseError, match="where no entry names a speaker"):
        check_unit([Utterance("u", "u", "A", 1.0), Utterance("v", "v", "A", 1.0)], config("speaker"))
    check_unit([Utterance("u", "s", "A", 1.0), Utterance("v", "v", "A", 1.0)], config("speaker"))
