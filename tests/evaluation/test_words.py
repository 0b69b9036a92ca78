"""Averages and intervals against hand-counted ones."""

from typing import Any

import numpy as np
import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, check_references, summarise
from noisewise.text.normalise import choose

UTTERANCES = [
    Utterance("u0", "ann", "A", 1.0),
    Utterance("u1", "ann", "A B C", 2.0),
    Utterance("u2", "bob", "A B C D E F", 3.0),
]


def cell(kind: str, snr: float, *hypotheses: str, failures: dict[str, str] | None = None) -> TextCell:
    return TextCell(in_noise(kind, snr), list(hypotheses), failures or {}, 0, f"hash of {kind} {snr}")


def grid(*cells: TextCell, **options: Any) -> GridResult:
    clean = TextCell(CLEAN, ["A", "A B C", "A B C D E F"], {}, 0, "hash of clean")
    return summarise(UTTERANCES, [clean, *cells], GridConfig(manifest="", **options))


ALL_RIGHT = ("A", "A B C", "A B C D E F")
ALL_EMPTY = ("", "", "")
ONE_WRONG = ("X", "A B C", "A B C D E F")
"""10 % of the words, a third of the mean over utterances."""


def test_a_row_counts_words_and_weighs_utterances() -> None:
    [row] = grid(cell("car", 0, "X", "A B", "A B C D E F G")).cells
    assert row.counts == {"S": 1, "D": 1, "I": 1, "words": 10}
    assert row.wer == pytest.approx(0.3)
    assert row.value("mean_utterance_wer") == pytest.approx((1 + 1 / 3 + 1 / 6) / 3)
    assert row.value("cer") > 0 and row.mixture_sha256 == "hash of car 0"


def test_types_are_averaged_over_their_cells_and_extra_ones_stay_out() -> None:
    result = grid(
        cell("traffic", 0, *ALL_EMPTY),
        cell("traffic", 5, *ONE_WRONG),
        cell("babble", 0, *ALL_EMPTY),
        cell("babble", 5, *ALL_RIGHT),
        cell("kitchen", 0, *ALL_EMPTY),
        cell("kitchen", 5, *ALL_EMPTY),
    )
    rates = {name: average.wer for name, average in result.averages.items()}
    assert rates == pytest.approx(
        {
            "type_a": (1.0 + 0.1) / 2,
            "type_b": (1.0 + 0.0) / 2,
            "all": (1.0 + 0.1 + 1.0 + 0.0) / 4,
            "type_a_above_0_db": 0.1,
            "type_b_above_0_db": 0.0,
            "all_above_0_db": 0.05,
            "all@0": 1.0,
            "all@5": 0.05,
            "traffic": 0.55,
            "babble": 0.5,
            "kitchen": 1.0,
        }
    )
    assert result.averages["all"].value("mean_utterance_wer") == pytest.approx((1 + 1 / 3 + 1 + 0) / 4)
    assert result.averages["all"].names == ["traffic", "babble"]
    assert result.averages["type_a"].cells == 2


def test_noise_of_other_names_is_averaged_over_all_of_it() -> None:
    result = grid(cell("rain", 0, *ALL_EMPTY), cell("wind", 0, *ALL_RIGHT))
    assert result.averages["all"].wer == 0.5
    assert "type_a" not in result.averages and "type_b" not in result.averages


def test_intervals_hold_the_rate_and_come_from_the_same_draws_in_all_cells() -> None:
    result = grid(cell("car", 0, *ONE_WRONG), cell("metro", 0, *ONE_WRONG), cell("traffic", 0, *ALL_EMPTY))
    car, metro, traffic = (result.cell(kind, 0).ci("wer") for kind in ("car", "metro", "traffic"))
    assert car == metro and car[0] <= result.cell("car", 0).wer <= car[1] and car[0] < car[1]
    assert traffic == (1.0, 1.0)
    expected = [(2 * end + 1) / 3 for end in car]
    assert result.averages["type_a"].ci("wer") == pytest.approx(expected), "paired draws, not independent ones"


def test_the_interval_of_an_average_does_not_shrink_with_equal_cells() -> None:
    one = grid(cell("car", 0, *ONE_WRONG))
    many = grid(*(cell("car", snr, *ONE_WRONG) for snr in range(20)))
    assert one.averages["all"].ci("wer") == pytest.approx(many.averages["all"].ci("wer"))


def test_speakers_can_be_resampled() -> None:
    result = grid(cell("car", 0, *ONE_WRONG), bootstrap_unit="speaker", bootstrap_samples=500)
    possible = {0.0, 0.1, 0.25}  # bob twice, each once, ann twice: 1 of 4 words
    assert (result.config.bootstrap_unit, result.config.bootstrap_samples) == ("speaker", 500)
    assert set(np.round(result.cell("car", 0).ci("wer"), 6)) == possible - {0.1}


def test_errors_of_each_utterance_are_kept() -> None:
    kept = grid(cell("car", 2.5, "X", "A B", "A B C D E F")).per_item
    assert (kept.ids, kept.groups, kept.words) == (["u0", "u1", "u2"], ["ann", "ann", "bob"], [1, 3, 6])
    assert kept.errors == {"clean": [0, 0, 0], "car@2.5": [1, 1, 0]}
    assert kept.hypotheses is not None and kept.hypotheses["car@2.5"] == ["X", "A B", "A B C D E F"]


def test_failures_are_counted() -> None:
    result = grid(cell("car", 0, "A", "", "A B C D E F", failures={"u1": "slept"}))
    assert result.cell("car", 0).failures == result.failures == 1
    assert result.cell("car", 0).counts["D"] == 3
    assert result.per_item.failures == {"car@0": {"u1": "slept"}}


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(NoisewiseError, match="must hold a word"):
        check_references([Utterance("u", "s", "...", 1.0)])
    check_references(UTTERANCES)


@pytest.mark.parametrize(
    ("normaliser", "text", "lost"),
    [("english", "ENTER 6 2 6", {"6": 2, "2": 1}), ("english", "ДА YES", {"Д": 1, "А": 1}), ("unicode", "ДА 6", {})],
)
def test_what_the_normaliser_removes_is_in_the_result(normaliser: Any, text: str, lost: dict[str, int]) -> None:
    clean = TextCell(CLEAN, [text], {}, 0, "")
    config = GridConfig(manifest="m", bootstrap_samples=10, normaliser=normaliser)
    found = summarise([Utterance("u0", "s", text, 1.0)], [clean], config)
    assert found.lost == ({"references": lost, "hypotheses": lost} if lost else {})
    assert found.normaliser == choose(normaliser).name and found.clean.wer == 0


def test_a_reference_that_vanishes_is_refused_with_its_text() -> None:
    for text in ("Привет", "42", "नमस्ते"):
        with pytest.raises(NoisewiseError, match=text):
            check_references([Utterance("u", "s", "YES", 1.0), Utterance("u", "s", text, 1.0)])
        check_references([Utterance("u", "s", text, 1.0)], choose("unicode"))
