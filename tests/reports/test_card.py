"""The score against hand-counted accuracies, and what must not become a card."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.conditions import CLEAN as CLEAN_CONDITION
from noisewise.evaluation.conditions import Condition, degraded_by, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.tags import ScoreCell
from noisewise.evaluation.tags import summarise as summarise_tags
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise
from noisewise.files import read_json
from noisewise.reports.card import make, markdown, numbers
from noisewise.reports.comparison import compare

UTTERANCES = [Utterance(f"u{index}", f"s{index}", "A B C D", 30.0) for index in range(10)]


def cell(condition: Condition, text: str, count: int = 10) -> TextCell:
    """The first `count` utterances have a text as their hypothesis, the others their reference."""
    texts = [text] * count + ["A B C D"] * (10 - count)
    return TextCell(condition, texts, {}, 0, condition.key)


CLEAN = cell(CLEAN_CONDITION, "A B C X", 4)
"""10 % of the words are wrong."""


def noise(name: str = "runs/mine", *cells: TextCell) -> GridResult:
    """Accuracies of the seven types: 0.5, 0.0 (more errors than words) and 1.0, 0.75; kitchen stays out."""
    found = cells or (
        cell(in_noise("traffic", 0), "A B"), cell(in_noise("traffic", 5), "A B C D"),
        cell(in_noise("cafe", 0), "X X X X X X X X"),
        cell(in_noise("cafe", 5), "A B C"), cell(in_noise("kitchen", 0), ""), cell(in_noise("kitchen", 5), ""),
    )  # fmt: skip
    result = summarise(UTTERANCES, [CLEAN, *found], GridConfig(manifest="an4"))
    return replace(result, system=name, command="noisewise evaluate")


def degraded(name: str = "runs/mine") -> GridResult:
    """Accuracies: clip 0.5 at both levels, loss 1."""
    levels = [("loss", 5, "A B C D", 10), ("clip", 6, "A B", 10), ("clip", 12, "", 5)]
    cells = [CLEAN, *(cell(degraded_by(kind, level), text, count) for kind, level, text, count in levels)]
    return replace(summarise(UTTERANCES, cells, GridConfig(manifest="")), system=name)


LABELS = ["cat", "dog", "rain"]
CLIPS = [Utterance(f"c{index}", f"r{index // 2}", LABELS[index % 2], 30.0) for index in range(8)]
"""Cat, dog, cat, dog."""


def tags(condition: Condition, rain: int) -> ScoreCell:
    """The first clips are taken for rain, the others for what they are."""
    best = [2] * rain + [index % 2 for index in range(rain, 8)]
    scores = np.eye(3, dtype="<f4")[best]
    return ScoreCell(condition, base64.b64encode(scores.tobytes()).decode(), {}, 0, condition.key)


def tagged(kind: str) -> GridResult:
    """Accuracies: clean 7/8; noise 0.5 and 1, or clip 0.75 and loss 0.25."""
    cells = [tags(in_noise("cafe", 0), 4), tags(in_noise("cafe", 5), 0)]
    if kind == "degradation":
        cells = [tags(degraded_by("loss", 5), 2), tags(degraded_by("clip", 6), 6)]
    config = GridConfig(manifest="sounds")
    result = summarise_tags(CLIPS, [tags(CLEAN_CONDITION, 1), *cells], LABELS, config)
    return replace(result, system="runs/tagger")


def test_a_card_of_a_tagger_counts_clips() -> None:
    card = make("runs/tagger", tagged("noise"), tagged("degradation"))
    assert (card.clean, card.in_noise) == pytest.approx((7 / 8, 0.75))
    assert card.by_degradation == pytest.approx({"loss": 0.75, "clip": 0.25}) and card.score == pytest.approx(62.5)
    assert card.interval.low < 62.5 < card.interval.high
    assert [name for _, name in card.worst(2)] == ["clip@6", "cafe@0"]
    text = markdown(card, "card.png")
    assert "71 % of its accuracy on clean clips" in text and "word" not in text.lower()
    assert "![Accuracy of tagger in noise and under degradations](card.png)" in text
    assert "| cafe | 50.0 | 100.0 | 75.0 |" in text and "| clip@6 | 75.0 | rain (6 of 6) |" in text
    assert "- tagger: `runs/tagger`" in text and "8 clips of 4 recordings (4.0 min) of `sounds`, 2 conditions" in text
    silent = tagged("degradation").without_transcripts()
    assert "| clip@6 | 75.0 |  |" in markdown(make("runs/tagger", tagged("noise"), silent))


def test_where_clips_have_several_labels_the_score_is_not_called_accuracy() -> None:
    several = tagged("noise")
    rates = {"mean_average_precision": several.clean.rates["mean_average_precision"]}
    several = replace(several, clean=replace(several.clean, rates=rates))
    assert (
        make("runs/tagger", several, tagged("degradation")).accuracy == "clips whose best class is one of their labels"
    )
    assert make("runs/tagger", tagged("noise"), tagged("degradation")).accuracy == "accuracy"


def test_scores_of_other_labels_are_of_another_test() -> None:
    noise, degraded = tagged("noise"), tagged("degradation")
    others = ["dog", *(noise.per_item.references or [])[1:]]
    card = make("runs/tagger", noise, degraded)
    changed = [replace(one, per_item=replace(one.per_item, references=others)) for one in (noise, degraded)]
    assert make("runs/tagger", changed[0], changed[1]).test != card.test
    with pytest.raises(NoisewiseError, match="clips with the same labels"):
        make("runs/tagger", noise, changed[1])
    with pytest.raises(NoisewiseError, match="must have clips with the labels of `a`"):
        compare([noise, changed[0]], ["a", "b"])


def test_the_score_is_the_mean_of_noise_and_degradations() -> None:
    card = make("runs/mine", noise(), degraded())
    assert card.in_noise == pytest.approx((0.5 + 1.0 + 0.0 + 0.75) / 4)
    assert card.by_degradation == pytest.approx({"loss": 1.0, "clip": 0.5}) and card.when_degraded == 0.75
    assert card.score == pytest.approx(100 * (0.5625 + 0.75) / 2)
    assert card.clean == pytest.approx(0.9) and card.kept == pytest.approx(0.65625 / 0.9)
    assert card.interval.low < card.score < card.interval.high, "clip@12 differs between utterances"
    assert card.interval.high - card.interval.low < 10


def test_the_test_is_its_mixtures() -> None:
    card = make("runs/mine", noise(), degraded())
    assert card.test == make("box", noise("box"), degraded("box")).test and len(card.test) == 12
    assert card.test != make("runs/mine", noise("runs/mine", cell(in_noise("traffic", 0), "A")), degraded()).test


def test_the_worst_conditions_of_both_come_first() -> None:
    names = [name for _, name in make("runs/mine", noise(), degraded()).worst(4)]
    assert names == ["cafe@0", "kitchen@0", "kitchen@5", "traffic@0"]


def test_the_page_says_how_it_was_measured() -> None:
    text = markdown(make("runs/mine", noise(), degraded()), "card.png")
    assert text.startswith("# Robustness of mine\n\n**Score 65.6** of 100 (")
    assert "73 % of its accuracy on clean speech" in text and "| noise | 56.2 |" in text
    assert "](card.png)" in text and "| cafe@0 | 200.0 | 0.0 | 100.0 | 100.0 |" in text
    assert "| clip | 12 dB | 50.0 (" in text and "10 utterances of 10 speakers (5.0 min) of `an4`, 6 conditions" in text
    assert "- rebuilt by: `noisewise evaluate`" in text and "noisewise-en-2" in text


def test_what_does_not_belong_together_is_refused() -> None:
    for model, one, other, message in (
        ("box", noise(), degraded(), "must be of `box`, but are of `runs/mine`"),
        ("runs/mine", noise(), degraded("box"), "the degradations must be of"),
        ("runs/mine", degraded(), degraded(), "must hold cells in noise"),
        ("runs/mine", noise(), noise(), "must be those of noisewise evaluate --degrade"),
        ("runs/mine", replace(noise(), system_details={"v": "1"}), degraded(), "its details differ"),
        ("runs/mine", noise(), replace(degraded(), normaliser="mine"), "scored by one rule"),
        ("runs/mine", noise(), tagged("degradation"), "the grid is of recognition and the degradations are of tagging"),
    ):
        with pytest.raises(NoisewiseError, match=message):
            make(model, one, other)


@pytest.mark.parametrize("bad", ["<script>alert(1)</script>", "x``\n# Hacked", "a\x1b[2J|b", "![x](http://a)"])
def test_a_foreign_grid_adds_nothing_to_the_page_but_text(bad: str) -> None:
    foreign: dict[str, Any] = {"command": bad, "normaliser": bad, "system": "python:a:b", "system_details": {"k": bad}}
    grids = [replace(one, config=replace(one.config, manifest=bad), **foreign) for one in (noise(), degraded())]
    page = markdown(make("python:a:b", *grids), "a (1).png")
    assert "<script" not in page and "\n# Hacked" not in page and "\x1b" not in page
    assert "![x](" not in page.replace("`![x](http://a)`", ""), "code is shown as it is"
    assert "](a%20%281%29.png)" in page


def test_a_model_comes_with_the_numbers_of_its_card(an4_dir: Path) -> None:
    results = Path(__file__).parents[2] / "results" / "an4_ctc"
    grids = [GridResult.load(results / name) for name in ("an4.json", "an4_degraded.json")]
    assert read_json(an4_dir / "card.json") == numbers(make("tests/fixtures/an4_ctc", *grids))
