"""Differences counted by hand, tests against their definitions, and results that must not be compared."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.resume import Condition, HeardCell
from noisewise.evaluation.summary import summarise
from noisewise.evaluation.test_set import Utterance
from noisewise.reports.comparison import compare, matched_pairs, sign_test

UTTERANCES = [Utterance(f"u{index}", f"s{index // 4}", "A B", 1.0) for index in range(12)]
CONDITIONS = [(None, None), ("traffic", 0.0), ("traffic", 5.0), ("babble", 0.0), ("babble", 5.0)]


def cell(kind: str | None, snr: float | None, wrong: list[int], sha: str = "") -> HeardCell:
    """The n-th utterance is heard with `wrong[n]` errors of two words."""
    texts = [("A B", "A X", "X X")[count] for count in wrong]
    return HeardCell(Condition(kind, snr), texts, {}, 0, f"{sha}{kind}{snr}")


def grid(name: str, *wrong: list[int], sha: str = "", utterances: list[Utterance] = UTTERANCES) -> GridResult:
    """Lists of errors for clean, traffic@0, traffic@5, babble@0 and babble@5; those left out are not in the grid."""
    cells = [cell(*condition, counts, sha) for condition, counts in zip(CONDITIONS, wrong, strict=False)]
    return summarise(utterances, cells, bootstrap_samples=10).described(recogniser=name)


NONE = [0] * 12
SOME = [1, 0] * 6
ALL = [2] * 12
BASE = grid("base", NONE, ALL, SOME, ALL, NONE)
OTHER = grid("other", SOME, SOME, SOME, ALL, NONE)


def test_differences_are_other_less_baseline() -> None:
    found = compare([BASE, OTHER]).lines
    rates = {name: (line.wer, line.pairs[0].difference) for name, line in found.items()}
    assert rates["clean"] == ([0.0, 0.25], 0.25)
    assert rates["traffic@0"] == ([1.0, 0.25], -0.75)
    assert rates["traffic"] == rates["type_a"] == ([0.625, 0.25], -0.375)
    assert rates["babble@0"] == ([1.0, 1.0], 0.0)
    assert rates["all@0"] == ([1.0, 0.625], -0.375)
    assert rates["all"] == ([0.5625, 0.375], -0.1875)
    back = compare([OTHER, BASE]).lines["all"].pairs[0]
    assert back.difference == 0.1875 and back.z == -found["all"].pairs[0].z


def test_means_are_those_of_the_grid() -> None:
    found = compare([BASE, OTHER]).lines
    for name, average in OTHER.averages.items():
        if not name.endswith("above_0_db"):
            assert found[name].wer[1] == pytest.approx(average.wer), name


def test_pairs_are_resampled_together() -> None:
    """Both are wrong by as much everywhere: the difference is certain although the rates are not."""
    uneven = [2, 0, 0, 0] * 3
    plus_one = [2, 1, 1, 1] * 3
    line = compare([grid("a", uneven), grid("b", uneven)]).lines["clean"]
    assert line.pairs[0].ci == (0.0, 0.0) and line.ci[0][0] < line.ci[0][1] and line.pairs[0].p == 1.0
    line = compare([grid("a", uneven), grid("b", plus_one)]).lines["clean"]
    low, high = line.pairs[0].ci
    assert 0 < low < line.pairs[0].difference == 0.375 < high
    assert (line.pairs[0].better, line.pairs[0].worse) == (0, 9)


def test_the_interval_is_the_bootstrap_of_the_differences() -> None:
    """With equal words in all utterances it is that of a mean: about 1.96 standard errors."""
    pair = compare([BASE, OTHER], samples=4000).lines["traffic@0"].pairs[0]
    spread = float(np.std([-1, -2] * 6)) / 2 / math.sqrt(12)
    assert pair.ci == pytest.approx((-0.75 - 1.96 * spread, -0.75 + 1.96 * spread), abs=0.03)
    by_speaker = compare([BASE, OTHER], samples=4000, unit="speaker").lines["traffic@0"].pairs[0]
    assert by_speaker.ci == (-0.75, -0.75), "every speaker has the same mean"


def test_matched_pairs_is_a_normal_test_of_the_mean() -> None:
    differences = np.array([1, 0, 2, -1, 1, 0, 3, 1], dtype=np.int64)
    z, p = matched_pairs(differences)
    assert z == pytest.approx(differences.mean() / (np.sqrt(np.var(differences, ddof=1)) / np.sqrt(8)))
    assert p == pytest.approx(2 * (1 - NormalDist().cdf(abs(z))))
    assert matched_pairs(-differences) == pytest.approx((-z, p))
    assert matched_pairs(np.zeros(5, dtype=np.int64)) == (0.0, 1.0)
    assert matched_pairs(np.ones(5, dtype=np.int64)) == (math.inf, 0.0)


def test_matched_pairs_rejects_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    found = [matched_pairs(random.poisson(1, 200) - random.poisson(1, 200))[1] for _ in range(400)]
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.09


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [(1, 5, 2 * 7 / 64), (5, 1, 2 * 7 / 64), (0, 0, 1.0), (3, 3, 1.0), (0, 10, 2 / 1024), (2, 6, 2 * 37 / 256)],
)
def test_the_sign_test_counts_coins(better: int, worse: int, p: float) -> None:
    assert sign_test(better, worse) == pytest.approx(p)
    assert 0.04 < sign_test(5000, 5200) < 0.06


def test_wins_and_losses_are_the_greatest_first() -> None:
    found = compare([grid("a", NONE, [2, 1, 0] * 4), grid("b", [0, 2] + [0] * 10, [0, 0, 1] * 4)])
    wins, losses = found.wins(0, 5), found.losses(0, 2)
    assert [one.difference for one in wins] == [-2, -2, -2, -2, -1]
    assert (wins[0].id, wins[0].condition, wins[0].errors) == ("u0", "traffic@0", (2, 0))
    assert wins[0].reference == "A B" and wins[0].heard == ("X X", "A B")
    assert [(one.id, one.condition, one.difference) for one in losses] == [("u1", "clean", 2), ("u2", "traffic@0", 1)]
    assert losses[0].words == 2


def test_without_texts_the_counts_are_left() -> None:
    found = compare([BASE.without_transcripts(), OTHER])
    assert found.wins(0, 1)[0].heard is None and found.lines["all"].wer == [0.5625, 0.375]


def test_only_what_all_have_heard_is_compared() -> None:
    found = compare([BASE, grid("small", NONE, ALL, NONE)])
    assert found.left_out == ["babble@0", "babble@5"]
    assert found.noise_types == ["traffic"] and found.lines["all"].wer == [0.625, 0.5]


def test_other_mixtures_are_refused() -> None:
    with pytest.raises(NoisewiseError, match=r"heard others in clean \(mixture_sha256 differs\)"):
        compare([BASE, grid("other", NONE, ALL, SOME, ALL, NONE, sha="x")])


def test_results_that_say_nothing_about_one_another_are_refused() -> None:
    with pytest.raises(NoisewiseError, match="not the same"):
        compare([BASE, grid("other", [0] * 11, utterances=UTTERANCES[1:])])
    with pytest.raises(NoisewiseError, match="share none"):
        compare([BASE, grid("clean", NONE)])
    with pytest.raises(NoisewiseError, match="scored under noisewise-en-1"):
        compare([BASE, OTHER.described(normaliser="mine")])
    with pytest.raises(NoisewiseError, match="two or more"):
        compare([BASE])
    with pytest.raises(NoisewiseError, match="2 with 1 names"):
        compare([BASE, OTHER], ["one"])
    with pytest.raises(NoisewiseError, match="names must differ"):
        compare([BASE, OTHER], ["one", "one"])
    with pytest.raises(NoisewiseError, match="'utterance' or 'speaker'"):
        compare([BASE, OTHER], unit="word")


def test_one_recogniser_twice_has_two_names() -> None:
    assert compare([BASE, OTHER, BASE]).names == ["base (1)", "other", "base (3)"]
