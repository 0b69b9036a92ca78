import math
from pathlib import Path

import pytest

from noisewise.decoding.hypothesis import Hypothesis
from noisewise.decoding.kneser_ney import train
from noisewise.decoding.lm import LanguageModel, load, sentence_score
from noisewise.decoding.rescoring import rescore

NBEST = [Hypothesis("A CAT", [], score=-1.0, ctc_score=-1.0), Hypothesis("THE CAT", [], score=-1.4, ctc_score=-1.4)]


@pytest.fixture
def model(tmp_path: Path) -> LanguageModel:
    train([["THE", "CAT"], ["THE", "DOG"], ["A", "DOG"]] * 2, order=2).save(tmp_path / "lm.arpa")
    return load(tmp_path / "lm.arpa")


def test_the_formula(model: LanguageModel) -> None:
    first, second = rescore(NBEST, model, 0.5)
    assert (first.text, second.text) == ("THE CAT", "A CAT")
    assert first.score == pytest.approx(-1.4 / 7 + 0.5 * sentence_score(model, ["THE", "CAT"]))
    assert second.score == pytest.approx(-1.0 / 5 + 0.5 * sentence_score(model, ["A", "CAT"]))
    assert first.ctc_score == -1.4


def test_without_weight_the_first_pass_stays(model: LanguageModel) -> None:
    assert [each.text for each in rescore(NBEST, model, 0.0, normalise_length=False)] == ["A CAT", "THE CAT"]
    assert [each.score for each in rescore(NBEST, model, 0.0, normalise_length=False)] == [-1.0, -1.4]
    assert [each.text for each in rescore(NBEST, model, 0.0)] == ["THE CAT", "A CAT"]  # the longer one, per character


def test_letters_and_the_bonus(tmp_path: Path) -> None:
    train([list("THE|CAT"), list("A|DOG")] * 2, order=2).save(tmp_path / "lm.arpa")
    letters = load(tmp_path / "lm.arpa")
    (only,) = rescore(NBEST[:1], letters, 1.0, bonus=0.25, characters=True)
    assert only.score == pytest.approx(-1.0 / 5 + sentence_score(letters, list("A|CAT")) + 0.25 * 5)


def test_nothing_said(model: LanguageModel) -> None:
    (only,) = rescore([Hypothesis("", [], ctc_score=-2.0)], model, 1.0)
    assert only.score == pytest.approx(-2.0 + model.end(model.start())) and math.isfinite(only.score)
    assert rescore([], model, 1.0) == []
