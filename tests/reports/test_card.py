"""The score against hand-counted accuracies, and what must not become a card."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from noisewise.cli import main as cli
from noisewise.errors import NoisewiseError
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.resume import Condition, HeardCell
from noisewise.evaluation.summary import summarise
from noisewise.evaluation.tagging import ScoredCell
from noisewise.evaluation.tagging import summarise as summarise_tags
from noisewise.evaluation.tagging_result import TaggingResult
from noisewise.evaluation.test_set import Utterance
from noisewise.reports.card import make, markdown
from noisewise.reports.comparison import compare

UTTERANCES = [Utterance(f"u{index}", f"s{index}", "A B C D", 30.0) for index in range(10)]


def cell(kind: str | None, level: float | None, text: str, count: int = 10) -> HeardCell:
    """The first `count` utterances are heard as a text, the others as they were said."""
    heard = [text] * count + ["A B C D"] * (10 - count)
    return HeardCell(Condition(kind, level), heard, {}, 0, f"{kind}{level}")


CLEAN = cell(None, None, "A B C X", 4)
"""10 % of the words are wrong."""


def noise(name: str = "runs/mine", *cells: HeardCell) -> GridResult:
    """Accuracies of the seven types: 0.5, 0.0 (more errors than words) and 1.0, 0.75; kitchen stays out."""
    found = cells or (
        cell("traffic", 0, "A B"), cell("traffic", 5, "A B C D"), cell("cafe", 0, "X X X X X X X X"),
        cell("cafe", 5, "A B C"), cell("kitchen", 0, ""), cell("kitchen", 5, ""),
    )  # fmt: skip
    return summarise(UTTERANCES, [CLEAN, *found]).described(
        recogniser=name, manifest="an4", command="noisewise evaluate"
    )


def degraded(name: str = "runs/mine") -> GridResult:
    """Accuracies: clip 0.5 at both levels, loss 1."""
    cells = [CLEAN, cell("clip", 6, "A B"), cell("clip", 12, "", 5), cell("loss", 5, "A B C D")]
    result = summarise(UTTERANCES, cells)
    averages = {kind: result.averages[kind] for kind in ("loss", "clip")}
    return result.described(recogniser=name, axis="level", noise_types=["loss", "clip"], averages=averages)


LABELS = ["cat", "dog", "rain"]
CLIPS = [Utterance(f"c{index}", f"r{index // 2}", LABELS[index % 2], 30.0) for index in range(8)]
"""Cat, dog, cat, dog."""


def tags(kind: str | None, level: float | None, rain: int) -> ScoredCell:
    """The first clips are taken for rain, the others for what they are."""
    best = [2] * rain + [index % 2 for index in range(rain, 8)]
    scores = np.eye(3, dtype="<f4")[best]
    return ScoredCell(Condition(kind, level), base64.b64encode(scores.tobytes()).decode(), {}, 0, f"{kind}{level}")


def tagged(axis: str) -> TaggingResult:
    """Accuracies: clean 7/8; noise 0.5 and 1, or clip 0.75 and loss 0.25."""
    if axis == "level":
        result = summarise_tags(CLIPS, [tags(None, None, 1), tags("loss", 5, 2), tags("clip", 6, 6)], LABELS)
        averages = {kind: result.averages[kind] for kind in ("loss", "clip")}
        result = result.described(axis="level", noise_types=["loss", "clip"], averages=averages)
    else:
        result = summarise_tags(CLIPS, [tags(None, None, 1), tags("cafe", 0, 4), tags("cafe", 5, 0)], LABELS)
    return result.described(recogniser="runs/tagger", manifest="sounds")


def test_a_card_of_a_tagger_counts_clips() -> None:
    card = make("runs/tagger", tagged("snr_db"), tagged("level"))
    assert (card.clean, card.in_noise) == pytest.approx((7 / 8, 0.75))
    assert card.by_degradation == pytest.approx({"loss": 0.75, "clip": 0.25}) and card.score == pytest.approx(62.5)
    assert card.interval.low < 62.5 < card.interval.high
    assert [name for _, name in card.worst(2)] == ["clip@6", "cafe@0"]
    text = markdown(card, "card.png")
    assert "71 % of its accuracy on clean clips" in text and "word" not in text.lower()
    assert "![Accuracy of tagger in noise and under degradations](card.png)" in text
    assert "| cafe | 50.0 | 100.0 | 75.0 |" in text and "| clip@6 | 75.0 | rain (6 of 6) |" in text
    assert "- tagger: `runs/tagger`" in text and "8 clips of 4 recordings (4.0 min) of `sounds`, 2 conditions" in text
    silent = tagged("level").without_transcripts()
    assert "| clip@6 | 75.0 |  |" in markdown(make("runs/tagger", tagged("snr_db"), silent))


def test_where_clips_have_several_labels_the_score_is_not_called_accuracy() -> None:
    several = tagged("snr_db")
    several = several.described(clean=replace(several.clean, accuracy=None))
    assert make("runs/tagger", several, tagged("level")).accuracy == "clips whose likeliest class is theirs"
    assert make("runs/tagger", tagged("snr_db"), tagged("level")).accuracy == "accuracy"


def test_scores_of_other_labels_are_of_another_test() -> None:
    noise, degraded = tagged("snr_db"), tagged("level")
    others = ["dog", *noise.per_clip.labels[1:]]
    card = make("runs/tagger", noise, degraded)
    changed = [one.described(per_clip=replace(one.per_clip, labels=others)) for one in (noise, degraded)]
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


def test_the_test_is_what_was_heard() -> None:
    card = make("runs/mine", noise(), degraded())
    assert card.test == make("box", noise("box"), degraded("box")).test and len(card.test) == 12
    assert card.test != make("runs/mine", noise("runs/mine", cell("traffic", 0, "A")), degraded()).test


def test_the_worst_conditions_of_both_come_first() -> None:
    names = [name for _, name in make("runs/mine", noise(), degraded()).worst(4)]
    assert names == ["cafe@0", "kitchen@0", "kitchen@5", "traffic@0"]


def test_the_page_says_how_it_was_measured() -> None:
    text = markdown(make("runs/mine", noise(), degraded()), "card.png")
    assert text.startswith("# Robustness of mine\n\n**Score 65.6** of 100 (")
    assert "73 % of its accuracy on clean speech" in text and "| noise | 56.2 |" in text
    assert "](card.png)" in text and "| cafe@0 | 200.0 | 0.0 | 100.0 | 100.0 |" in text
    assert "| clip | 12 dB | 50.0 (" in text and "10 utterances of 10 speakers (5.0 min) of `an4`, 6 conditions" in text
    assert "- rebuilt by: `noisewise evaluate`" in text and "noisewise-en-1" in text


def test_what_does_not_belong_together_is_refused() -> None:
    for model, one, other, message in (
        ("box", noise(), degraded(), "must be of `box`, but are of `runs/mine`"),
        ("runs/mine", noise(), degraded("box"), "the degradations must be of"),
        ("runs/mine", degraded(), degraded(), "must hold cells in noise"),
        ("runs/mine", noise(), noise(), "must be those of noisewise evaluate --degrade"),
        ("runs/mine", noise().described(recogniser_details={"v": "1"}), degraded(), "its details differ"),
        ("runs/mine", noise(), degraded().described(normaliser="mine"), "scored by one rule"),
        ("runs/mine", noise(), tagged("level"), "the grid is of a recogniser and the degradations are of a tagger"),
    ):
        with pytest.raises(NoisewiseError, match=message):
            make(model, one, other)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    noise().save("grid.json")
    degraded().save("degraded.json")
    words = ["card", "runs/mine", "--grid", "grid.json", "--degradations", "degraded.json"]
    assert cli.main([*words, "-o", "out/card.md"]) == 0
    assert capsys.readouterr().out.startswith("mine: 65.6 of 100 (")
    assert "](card.png)" in (tmp_path / "out" / "card.md").read_text()
    assert (tmp_path / "out" / "card.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main([*words, "-o", "a.md", "--figure", "pictures/a.svg"]) == 0
    assert "](pictures/a.svg)" in (tmp_path / "a.md").read_text()
    assert cli.main(["card", "box", *words[2:], "-o", "b.md"]) == 2
    assert "must be of `box`" in capsys.readouterr().err and not (tmp_path / "b.md").exists()
