"""Differences counted by hand, tests against their definitions, and results that must not be compared."""

import math
from dataclasses import replace

import numpy as np
import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.conditions import CLEAN, Condition, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise
from noisewise.reports.comparison import compare
from noisewise.scoring.significance import holm

UTTERANCES = [Utterance(f"u{index}", f"s{index // 4}", "A B", 1.0) for index in range(12)]
CONDITIONS = [CLEAN, *(in_noise(kind, snr) for kind in ("traffic", "babble") for snr in (0, 5))]


def cell(condition: Condition, wrong: list[int], sha: str = "") -> TextCell:
    """The n-th utterance is transcribed with `wrong[n]` errors of two words."""
    texts = [("A B", "A X", "X X")[count] for count in wrong]
    return TextCell(condition, texts, {}, 0, f"{sha}{condition.key}")


def grid(name: str, *wrong: list[int], sha: str = "", utterances: list[Utterance] = UTTERANCES) -> GridResult:
    """Lists of errors for clean, traffic@0, traffic@5, babble@0 and babble@5; those left out are not in the grid."""
    cells = [cell(condition, counts, sha) for condition, counts in zip(CONDITIONS, wrong, strict=False)]
    config = GridConfig(manifest="", bootstrap_samples=10)
    return replace(summarise(utterances, cells, config), system=name)


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


def test_wins_and_losses_are_the_greatest_first() -> None:
    found = compare([grid("a", NONE, [2, 1, 0] * 4), grid("b", [0, 2] + [0] * 10, [0, 0, 1] * 4)])
    wins, losses = found.wins(0, 5), found.losses(0, 2)
    assert [one.difference for one in wins] == [-2, -2, -2, -2, -1]
    assert (wins[0].id, wins[0].condition, wins[0].errors) == ("u0", "traffic@0", (2, 0))
    assert wins[0].reference == "A B" and wins[0].hypotheses == ("X X", "A B")
    assert [(one.id, one.condition, one.difference) for one in losses] == [("u1", "clean", 2), ("u2", "traffic@0", 1)]
    assert losses[0].words == 2


def test_without_texts_the_counts_are_left() -> None:
    found = compare([BASE.without_transcripts(), OTHER])
    assert found.wins(0, 1)[0].hypotheses is None and found.lines["all"].wer == [0.5625, 0.375]


def test_only_what_all_have_is_compared() -> None:
    found = compare([BASE, grid("small", NONE, ALL, NONE)])
    assert found.left_out == ["babble@0", "babble@5"]
    assert found.noise_types == ["traffic"] and found.lines["all"].wer == [0.625, 0.5]


def test_other_mixtures_are_refused() -> None:
    with pytest.raises(NoisewiseError, match=r"has others in clean \(mixture_sha256 differs\)"):
        compare([BASE, grid("other", NONE, ALL, SOME, ALL, NONE, sha="x")])


def test_results_that_say_nothing_about_one_another_are_refused() -> None:
    with pytest.raises(NoisewiseError, match="not the same"):
        compare([BASE, grid("other", [0] * 11, utterances=UTTERANCES[1:])])
    with pytest.raises(NoisewiseError, match="share none"):
        compare([BASE, grid("clean", NONE)])
    with pytest.raises(NoisewiseError, match="scored under noisewise-en-2"):
        compare([BASE, replace(OTHER, normaliser="mine")])
    with pytest.raises(NoisewiseError, match="two or more"):
        compare([BASE])
    with pytest.raises(NoisewiseError, match="2 with 1 names"):
        compare([BASE, OTHER], ["one"])
    with pytest.raises(NoisewiseError, match="names must differ"):
        compare([BASE, OTHER], ["one", "one"])
    with pytest.raises(NoisewiseError, match="`bootstrap_unit` must be auto, utterance"):
        compare([BASE, OTHER], unit="word")


def test_one_recogniser_twice_has_two_names() -> None:
    assert compare([BASE, OTHER, BASE]).names == ["base (1)", "other", "base (3)"]


def test_segments_improvement_and_the_correction_over_the_grid() -> None:
    found = compare([BASE, OTHER], samples=200).lines
    pair = found["traffic@0"].pairs[0]
    assert pair.improvement == 1.0 and found["clean"].pairs[0].improvement == 0.0
    assert found["babble@0"].pairs[0].improvement == 0.5, "ties count half"
    assert pair.segment_z is not None and pair.segment_z < 0 and pair.most_powerful_p == pair.segment_p
    given = [line.pairs[0].most_powerful_p for line in found.values() if line.is_condition]
    assert len(given) == 5
    assert [line.pairs[0].corrected_p for line in found.values() if line.is_condition] == holm(given)
    mean = found["all"].pairs[0]
    assert mean.segment_p is None and mean.corrected_p is None and mean.most_powerful_p == mean.p
    bare = compare([BASE.without_transcripts(), OTHER], samples=20).lines["traffic@0"].pairs[0]
    assert bare.segment_p is None and bare.p == pair.p
