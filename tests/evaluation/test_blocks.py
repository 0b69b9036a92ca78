"""Which blocks are drawn, and that intervals over blocks are wider where errors go with the block."""

import numpy as np
import pytest

from noisewise.errors import EvaluationError
from noisewise.evaluation.blocks import check, draws, draws_of, resolved
from noisewise.evaluation.conditions import CLEAN
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise

IDS = [f"u{place}" for place in range(24)]
SPEAKERS = [f"s{place // 2}" for place in range(24)]
COLUMNS = {"session": ["a"] * 12 + ["b"] * 11 + [""]}


def test_speakers_are_drawn_where_ten_are_named() -> None:
    assert resolved("auto", IDS, SPEAKERS) == "speaker"
    assert resolved("auto", IDS[:18], SPEAKERS[:18]) == "utterance", "nine speakers"
    assert resolved("auto", IDS, IDS) == "utterance", "an id that stands for a speaker names none"
    assert resolved("utterance", IDS, SPEAKERS) == "utterance"
    auto, spoken = (draws(unit, IDS, SPEAKERS, {}, samples=5, seed=3) for unit in ("auto", "speaker"))
    assert (auto == spoken).all() and (auto[:, 0] == auto[:, 1]).all()


def test_blocks_of_a_column() -> None:
    times = draws("session", IDS, SPEAKERS, COLUMNS, samples=200, seed=0)
    assert (times[:, :12] == times[:, :1]).all() and (times[:, 12:23] == times[:, 12:13]).all()
    assert (times[:, 0] + times[:, 12] + times[:, 23] == 3).all(), "what has no value is a block of its own"


def test_hierarchical_draws_keep_the_size_of_the_speakers_that_were_drawn() -> None:
    spoken = draws("speaker", IDS, SPEAKERS, {}, samples=300, seed=1)
    times = draws("hierarchical", IDS, SPEAKERS, {}, samples=300, seed=1)
    assert (times[:, 0::2] + times[:, 1::2] == 2 * spoken[:, 0::2]).all()
    assert (times[:, 0] != times[:, 1]).any(), "utterances are drawn within a speaker"


@pytest.mark.parametrize("unit", ["word", "speaker", "hierarchical"])
def test_what_cannot_be_drawn_is_refused(unit: str) -> None:
    with pytest.raises(EvaluationError, match="bootstrap_unit"):
        check(unit, IDS, IDS, {})


def test_a_result_states_the_unit_and_keeps_the_column() -> None:
    items = [Utterance(name, group, "A B", 1.0, {"session": value}) for name, group, value in zip(
        IDS, SPEAKERS, COLUMNS["session"], strict=True
    )]  # fmt: skip
    hypotheses = ["A" if one.speaker < "s2" else "A B" for one in items]
    cells = [TextCell(CLEAN, hypotheses, {}, 0, "")]
    found = {
        unit: summarise(items, cells, GridConfig(manifest="m", bootstrap_unit=unit))
        for unit in ("auto", "utterance", "session", "hierarchical")
    }
    assert [one.config.bootstrap_unit for one in found.values()] == ["speaker", "utterance", "session", "hierarchical"]
    assert found["session"].per_item.columns == COLUMNS and not found["auto"].per_item.columns
    widths = {unit: float(np.subtract(*one.clean.ci("wer")[::-1])) for unit, one in found.items()}
    assert widths["auto"] > 1.2 * widths["utterance"], "errors go with the speaker"
    again = draws_of(found["session"], "session", samples=4, seed=0)
    assert (again == draws("session", IDS, SPEAKERS, COLUMNS, samples=4, seed=0)).all()
