"""Thresholds of grids whose rates are known."""

import numpy as np
import pytest

from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.thresholds import thresholds
from noisewise.evaluation.words import TextCell, summarise

SNRS = [0, 5, 10, 20]
WORDS = "A B C D E F G H I J"


def grid(clean: int, **by_type: list[int]) -> GridResult:
    """Word errors in each of 20 utterances of ten words."""

    def texts(wrong: int) -> list[str]:
        return [" ".join(["X"] * wrong + WORDS.split()[wrong:])] * 20

    cells = [TextCell(CLEAN, texts(clean), {}, 0, "")]
    for kind, errors in by_type.items():
        cells += [TextCell(in_noise(kind, snr), texts(n), {}, 0, "") for snr, n in zip(SNRS, errors, strict=True)]
    utterances = [Utterance(f"u{place}", f"s{place}", WORDS, 1.0) for place in range(20)]
    return summarise(utterances, cells, GridConfig(manifest="", bootstrap_samples=50))


def test_both_thresholds_of_each_type_and_of_all() -> None:
    result = grid(1, traffic=[9, 5, 3, 1], babble=[3, 3, 2, 1])
    found = result.thresholds
    assert list(found) == ["traffic", "babble", "all"]
    assert found["traffic"].half.snr_db == pytest.approx(5.0) and found["traffic"].doubled.snr_db == pytest.approx(15.0)
    assert found["babble"].doubled.snr_db == pytest.approx(10.0)
    assert found["babble"].half.snr_db is None and found["babble"].half.where == "below"
    assert found["all"].half.snr_db == pytest.approx(2.5), "of the mean over types: 6, 4, 2.5, 1 errors"
    assert found["traffic"].half.ci == pytest.approx([5.0, 5.0]), "every utterance has the same errors"
    assert thresholds(result) == found and GridResult.parse(result.plain()) == result


def test_what_is_not_crossed_is_said() -> None:
    found = grid(0, car=[9, 8, 7, 6]).thresholds["car"]
    assert (found.half.snr_db, found.half.where, found.half.ci) == (None, "above", [20.0, 20.0])
    assert (found.doubled.where, found.doubled.ci) == ("undefined", None), "no clean errors that could double"
    assert grid(1).thresholds == {}


def test_the_interval_holds_the_resampled_crossings() -> None:
    random = np.random.default_rng(0)
    utterances = [Utterance(f"u{place}", f"u{place}", WORDS, 1.0) for place in range(60)]
    cells = [TextCell(CLEAN, [WORDS] * 60, {}, 0, "")]
    for snr, rate in zip(SNRS, (0.9, 0.7, 0.4, 0.1), strict=True):
        texts = [" ".join("X" if random.random() < rate else word for word in WORDS.split()) for _ in range(60)]
        cells.append(TextCell(in_noise("car", snr), texts, {}, 0, ""))
    half = summarise(utterances, cells, GridConfig(manifest="")).thresholds["car"].half
    assert half.ci is not None and half.snr_db is not None
    assert half.ci[0] < half.snr_db < half.ci[1] and 0.5 < half.ci[1] - half.ci[0] < 3
    assert half.snr_db == pytest.approx(5 + 5 * 2 / 3, abs=1)
