"""Weights of attention, CTC and a language model, found from the lists that a search makes."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.config import DecodingConfig
from noisewise.errors import EvaluationError
from noisewise.inference import language_model
from noisewise.lm import kneser_ney
from noisewise.tuning.attention import Weights, joined, nbest_lists, scores_of, tune_attention, weights_of
from noisewise.tuning.posteriors import DevSetPosteriors
from tests.decoding.exhaustive import random_log_probs
from tests.decoding.table import SYMBOLS, TOKENIZER, Table

CONFIG = DecodingConfig(attention=JointConfig(beam=6, ctc_weight=0.3), unknown_penalty=2.0)
SEEDS = range(12)


def begin(frames: Tensor, lengths: Tensor) -> Table:
    return Table([int(each[0, 0]) for each in frames])


@pytest.fixture(scope="module")
def posteriors() -> DevSetPosteriors:
    """What other weights than those of `CONFIG` say is the truth."""
    log_probs = [random_log_probs(1, 5 + seed % 3, SYMBOLS, seed=seed)[0] for seed in SEEDS]
    frames = [torch.full((len(each), 1), float(seed)) for seed, each in zip(SEEDS, log_probs, strict=True)]
    found = DevSetPosteriors(TOKENIZER, ["A"] * len(log_probs), log_probs, frames)
    truth = replace(CONFIG, attention=JointConfig(beam=6, ctc_weight=0.9, bonus=1.2))
    said = [each[0].text or "A" for each in nbest_lists(found, truth, begin, None)]
    return DevSetPosteriors(TOKENIZER, said, log_probs, frames)


@pytest.mark.parametrize("mode", ["one_pass", "rescoring"])
def test_better_weights_are_found_and_searched_with(
    posteriors: DevSetPosteriors, mode: Literal["one_pass", "rescoring"]
) -> None:
    seen: list[tuple[Weights, float]] = []
    assert CONFIG.attention is not None
    config = replace(CONFIG, attention=replace(CONFIG.attention, mode=mode))
    found, wer = tune_attention(posteriors, config, begin, seed=3, progress=lambda *each: seen.append(each))
    assert seen[0][0] == weights_of(config)
    assert wer == min(each for _, each in seen) < seen[0][1]
    assert found.attention is not None and found.attention.mode == mode and found.attention.beam == 6
    again = nbest_lists(posteriors, found, begin, None)
    assert (weights_of(found), wer) in seen
    assert len(again[0]) > 1
    assert tune_attention(posteriors, config, begin, seed=3) == (found, wer)


def test_the_lists_say_what_the_search_said(posteriors: DevSetPosteriors, tmp_path: Path) -> None:
    kneser_ney.train([["A", "B"], ["AB"], ["BA", "A"]] * 9, order=2).save(tmp_path / "lm.arpa")
    model = language_model.load(str(tmp_path / "lm.arpa"), "noisewise")
    power = JointConfig(beam=6, ctc_weight=0.4, bonus=0.7, length_power=0.5)
    config = replace(CONFIG, attention=power, lm=str(tmp_path / "lm.arpa"), lm_weight=0.8, bonus=0.9)
    found = nbest_lists(posteriors, config, begin, model)
    numbers, weights = scores_of(posteriors.references, found, config, model), weights_of(config)
    first = sum(each[0].text.split() != said.split() for each, said in zip(found, posteriors.references, strict=True))
    assert first > 0 and numbers.wer(weights) > 0
    for row, hypotheses in enumerate(found):
        for place, each in enumerate(hypotheses):
            both = 0.6 * numbers.attention[row, place] + 0.4 * numbers.ctc[row, place]
            fused = 0.8 * numbers.language[row, place] + 0.9 * numbers.words[row, place] + numbers.rest[row, place]
            length = len(each.tokens)
            assert each.score == pytest.approx((both + fused + 0.7 * length) / (length + 1) ** 0.5)
            unknown = sum(word not in {"A", "B", "AB", "BA"} for word in each.text.split())
            assert numbers.rest[row, place] == pytest.approx(-2.0 * unknown, abs=1e-6)
    assert joined([numbers, numbers]).wer(weights) == numbers.wer(weights)
    assert joined([numbers, numbers]).errors.shape[1] == 2 * numbers.errors.shape[1]


def test_all_of_one_kind_stays_and_ctc_alone_is_refused(posteriors: DevSetPosteriors) -> None:
    alone = replace(CONFIG, attention=JointConfig(ctc_weight=0.0))
    found, _ = tune_attention(posteriors, alone, begin, rounds=1)
    assert found.attention is not None and found.attention.ctc_weight == 0.0
    with pytest.raises(EvaluationError, match="must have `attention`"):
        tune_attention(posteriors, DecodingConfig(), begin)


@pytest.mark.parametrize("frame_seconds", [0.04, 10.0])  # so long that recordings are cut into pieces
def test_the_texts_are_the_first_hypotheses(posteriors: DevSetPosteriors, frame_seconds: float) -> None:
    config = replace(CONFIG, attention=JointConfig(beam=16, ctc_weight=0.3, piece_seconds=30.0))
    posteriors = replace(posteriors, frame_seconds=frame_seconds)
    said = [each[0].text for each in nbest_lists(posteriors, config, begin, None)]
    assert posteriors.decode(config, begin=begin) == said
    assert said != posteriors.decode(None)
    for missing in (posteriors, replace(posteriors, frames=[])):
        with pytest.raises(EvaluationError, match="without an attention decoder"):
            missing.decode(config, begin=None if missing is posteriors else begin)
