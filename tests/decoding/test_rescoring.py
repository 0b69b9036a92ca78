import math
from pathlib import Path

import pytest
import torch

from noisewise.decoding.config import DecodingConfig, build
from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.decoding.rescoring import RescoredBeam, RescoringConfig, rescore
from noisewise.errors import DecodingError
from noisewise.lm.kneser_ney import train
from noisewise.lm.loading import load
from noisewise.lm.protocol import LanguageModel, sentence_score
from noisewise.text.tokenizer import CharacterTokenizer
from tests.decoding.batched import Batched
from tests.decoding.exhaustive import random_log_probs

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


def test_the_first_pass_as_a_whole(model: LanguageModel) -> None:
    """With keep_fusion, what fusion has added stays in."""
    fused = [Hypothesis("A CAT", [], score=3.0, ctc_score=-1.0), Hypothesis("THE CAT", [], score=-1.4, ctc_score=-1.4)]
    (first, second) = rescore(fused, model, 0.5, normalise_length=False, keep_fusion=True)
    assert (first.text, second.text) == ("A CAT", "THE CAT")
    assert first.score == pytest.approx(3.0 + 0.5 * sentence_score(model, ["A", "CAT"]))


SMALL = CharacterTokenizer(("<blank>", "|", "A", "B"))


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    train([["A"], ["AB"], ["B", "AB"]] * 2, order=2).save(tmp_path / "lm.arpa")
    return tmp_path / "lm.arpa"


def test_the_second_pass_of_a_search_is_rescore_on_its_hypotheses(letters: Path) -> None:
    log_probs = torch.stack([random_log_probs(6, 4, seed=seed) for seed in range(3)])
    lengths = torch.tensor([6, 4, 0])
    search, model = BeamConfig(beam=12, nbest=2), load(letters)
    for keep_fusion in (False, True):
        rescoring = RescoringConfig(lm=str(letters), weight=2.0, bonus=0.5, nbest=7, keep_fusion=keep_fusion)
        config = DecodingConfig(search=search, lm=str(letters), rescoring=rescoring)
        first = build(DecodingConfig(search=BeamConfig(beam=12, nbest=7), lm=str(letters)), SMALL)
        found = build(config, SMALL).decode(log_probs, lengths, 0.04)
        for one, before in zip(found, first.decode(log_probs, lengths, 0.04), strict=True):
            expected = rescore(before, model, 2.0, bonus=0.5, keep_fusion=keep_fusion)[:2]
            assert [each.tokens for each in one] == [each.tokens for each in expected]
            assert [each.score for each in one] == pytest.approx([each.score for each in expected])
            assert [each.words for each in one] == [each.words for each in expected]
    alone = build(config, SMALL).decode(log_probs[1:2, :4], lengths[1:2], 0.04)[0]
    assert [each.tokens for each in alone] == [each.tokens for each in found[1]]


def test_a_model_that_works_in_batches_is_asked_for_all_hypotheses_at_once(letters: Path) -> None:
    log_probs = torch.stack([random_log_probs(6, 4, seed=seed) for seed in range(3)])
    rescoring = RescoringConfig(lm="", weight=2.0)
    batched = Batched(load(letters), "words")
    made = [RescoredBeam(SMALL, BeamConfig(beam=8), None, rescoring, model) for model in (batched, load(letters))]
    lengths = torch.tensor([6, 6, 3])
    assert made[0].decode(log_probs, lengths, 0.04) == made[1].decode(log_probs, lengths, 0.04)
    assert batched.calls == 1


def test_no_more_hypotheses_than_the_beam_and_at_least_one(letters: Path) -> None:
    rescoring = RescoringConfig(lm=str(letters), nbest=50)
    decoder = build(DecodingConfig(search=BeamConfig(beam=3), rescoring=rescoring), SMALL)
    assert isinstance(decoder, PrefixBeam) and decoder.config.nbest == 3
    assert [len(each) for each in decoder.decode(torch.zeros(1, 0, 4), torch.tensor([0]), 0.04)] == [1]
    with pytest.raises(DecodingError, match=r"`rescoring\.nbest` must be 1 or more, but is 0"):
        RescoringConfig(lm="lm.arpa", nbest=0)
