"""Rates of subgroups against those of grids of their own."""

import pytest

from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.subgroups import grouped
from noisewise.evaluation.summary import check_unit
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise

UTTERANCES = [
    Utterance(f"u{place}", f"s{place % 6}", "A B", 1.0, {"gender": "fmf"[place % 3] if place else ""})
    for place in range(24)
]
CELLS = [
    TextCell(CLEAN, ["A B"] * 24, {}, 0, ""),
    TextCell(in_noise("car", 0), ["A X" if place % 3 == 1 else "A B" for place in range(24)], {}, 0, ""),
    TextCell(in_noise("car", 5), ["X" if place % 2 else "A B" for place in range(24)], {}, 0, ""),
]
CONFIG = GridConfig(manifest="", subgroups=["gender"], bootstrap_unit="utterance", bootstrap_samples=100)


def part(utterances: list[Utterance], keep: str) -> GridResult:
    places = [place for place, one in enumerate(utterances) if one.columns["gender"] == keep]
    cells = [TextCell(cell.condition, [cell.hypotheses[place] for place in places], {}, 0, "") for cell in CELLS]
    return summarise([utterances[place] for place in places], cells, CONFIG)


def test_a_subgroup_is_a_grid_of_its_own() -> None:
    result = summarise(UTTERANCES, CELLS, CONFIG)
    assert list(result.subgroups) == ["gender"] and list(result.subgroups["gender"]) == ["f", "m"]
    for value, found in result.subgroups["gender"].items():
        alone = part(UTTERANCES, value)
        assert (found.items, found.groups, found.words) == (alone.items, alone.groups, 2 * alone.items)
        for name, one in [*alone.rows.items(), *alone.averages.items()]:
            assert found.rates[name] == one.rates["wer"], name
    assert sum(one.items for one in result.subgroups["gender"].values()) == 23, "one has no value"
    assert GridResult.parse(result.plain()) == result


def test_ages_are_decades_and_few_numbers_stay() -> None:
    assert grouped(["8", "19", "20", "29", "30", "41", "55", "66", "78", ""]) == [
        "0-9", "10-19", "20-29", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "",
    ]  # fmt: skip
    assert grouped(["1", "2", "x"]) == ["1", "2", "x"]


def test_a_column_that_no_entry_has_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no entry has 'accent'"):
        check_unit(UTTERANCES, GridConfig(manifest="", subgroups=["accent"]))
