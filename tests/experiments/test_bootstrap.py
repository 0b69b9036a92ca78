"""Rates over seeds counted by hand, and differences whose sign and size are known."""

import math

import numpy as np
import pytest

from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise
from noisewise.experiments.bootstrap import Resampler, check_same, groups
from noisewise.reports.comparison import compare

UTTERANCES = [Utterance(f"u{index}", f"s{index // 3}", "A B", 1.0) for index in range(12)]
CONDITIONS = [CLEAN, *(in_noise(kind, snr) for kind in ("traffic", "babble") for snr in (0, 5))]
HYPOTHESES = ("A B", "A X", "X X")


def grid(*wrong: list[int], sha: str = "") -> GridResult:
    """Errors of each utterance for clean, traffic@0, traffic@5, babble@0 and babble@5."""
    cells = [
        TextCell(one, [HYPOTHESES[count] for count in counts], {}, 0, f"{sha}{one.key}")
        for one, counts in zip(CONDITIONS, wrong, strict=True)
    ]
    return summarise(UTTERANCES, cells, GridConfig(manifest="", bootstrap_samples=50))


NONE, SOME, ALL = [0] * 12, [1, 0] * 6, [2] * 12
GOOD = [grid(NONE, SOME, NONE, SOME, NONE), grid(SOME, SOME, NONE, SOME, NONE)]
BAD = [grid(SOME, ALL, SOME, ALL, SOME), grid(SOME, ALL, ALL, ALL, SOME)]
DRAWS = Resampler.of(GOOD[0], "utterance", 200, 0)


def test_means_are_those_of_the_grids_over_their_seeds() -> None:
    for name, conditions in groups(BAD[0]).items():
        rate, by_seed = DRAWS.rate(BAD, conditions), [wer(one, name) for one in BAD]
        assert rate.by_seed == pytest.approx(by_seed), name
        assert rate.wer == pytest.approx(np.mean(by_seed)), name
        assert rate.ci[0] <= rate.wer <= rate.ci[1]


def wer(found: GridResult, name: str) -> float:
    """As the grid says it."""
    if name in found.averages:
        return found.averages[name].wer
    return found.rows[name].wer


def test_groups_above_0_db_leave_it_out() -> None:
    found = groups(BAD[0])
    assert found["type_b"] == ["babble@0", "babble@5"]
    assert found["type_b_above_0_db"] == ["babble@5"]
    assert found["all@5"] == ["traffic@5", "babble@5"]
    assert found["clean"] == ["clean"] and found["traffic@0"] == ["traffic@0"]


def test_the_difference_is_below_0_where_the_first_is_better() -> None:
    conditions = groups(GOOD[0])["all"]
    found = DRAWS.difference(GOOD, BAD, conditions)
    good, bad = DRAWS.rate(GOOD, conditions).wer, DRAWS.rate(BAD, conditions).wer
    assert found.difference == pytest.approx(good - bad) and found.difference < 0
    assert found.relative == pytest.approx(good / bad - 1)
    assert found.ci[1] < 0 and found.relative_ci is not None and found.relative_ci[1] < 0
    assert (found.better, found.worse) == (12, 0) and found.z < 0 and found.p < 0.01
    alone = [DRAWS.difference([one], [other], conditions).difference for one, other in zip(GOOD, BAD, strict=True)]
    assert found.by_seed == alone and found.difference == pytest.approx(sum(alone) / len(alone))
    back = DRAWS.difference(BAD, GOOD, conditions)
    assert back.difference == pytest.approx(-found.difference) and back.z == pytest.approx(-found.z)
    assert (back.better, back.worse) == (0, 12) and back.relative is not None and back.relative > 0


def test_one_seed_is_a_comparison_of_two_grids() -> None:
    oracle = compare([BAD[0], GOOD[0]], ["bad", "good"], samples=200).lines["all"].pairs[0]
    found = DRAWS.difference(GOOD[:1], BAD[:1], groups(BAD[0])["all"])
    assert found.difference == pytest.approx(oracle.difference)
    assert found.ci == pytest.approx(oracle.ci)
    assert (found.z, found.p, found.sign_p) == pytest.approx((oracle.z, oracle.p, oracle.sign_p))


def test_nothing_is_relative_to_no_errors() -> None:
    perfect = [grid(NONE, NONE, NONE, NONE, NONE)] * 2
    found = DRAWS.difference(GOOD, perfect, groups(GOOD[0])["all"])
    assert found.relative is None and found.difference > 0 and math.isfinite(found.p)


def test_drawing_speakers_is_wider_where_errors_go_with_the_speaker() -> None:
    by_speaker = [grid(*([[0, 0, 0, 2, 2, 2] * 2] * 5))]
    widths = []
    for unit in ("utterance", "speaker"):
        low, high = Resampler.of(by_speaker[0], unit, 1000, 0).rate(by_speaker, ["clean"]).ci
        widths.append(high - low)
    assert widths[1] > widths[0]


def test_other_mixtures_are_refused() -> None:
    check_same([("seed_0/a", GOOD[0]), ("seed_1/a", GOOD[1]), ("seed_0/b", BAD[0])])
    with pytest.raises(EvaluationError, match="`seed_0/b` must be measured on the same mixtures as `seed_0/a`"):
        check_same([("seed_0/a", GOOD[0]), ("seed_0/b", grid(NONE, SOME, SOME, ALL, NONE, sha="x"))])
