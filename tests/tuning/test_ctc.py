"""Weights found on a development set: the best of what was tried, the same from the same seed."""

from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest
import torch

from noisewise.decoding.config import DecodingConfig
from noisewise.errors import EvaluationError
from noisewise.lm import kneser_ney
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.tuning.ctc import WeightTrial, tune_ctc
from noisewise.tuning.posteriors import DevSetPosteriors

TOKENIZER = CharacterTokenizer()


def misheard(reference: str, hypothesis: str, odds: float) -> torch.Tensor:
    """Frames in which the model leans towards another text than the reference. (F, V)"""
    tokens = [TOKENIZER.encode(text) for text in (reference, hypothesis)]
    log_probs = torch.full((2 * len(tokens[0]), len(TOKENIZER)), -12.0)
    log_probs[1::2, TOKENIZER.blank] = 0.0
    for at, (right, wrong) in enumerate(zip_longest(*tokens, fillvalue=TOKENIZER.blank)):
        log_probs[2 * at, right] = 0.0
        if wrong != right:
            log_probs[2 * at, wrong] = odds
    return log_probs.log_softmax(dim=-1)


@pytest.fixture
def config(tmp_path: Path) -> DecodingConfig:
    kneser_ney.train([["YES", "NO"]] * 30 + [["YES"], ["NO"]] * 5, order=2).save(tmp_path / "lm.arpa")
    return DecodingConfig(lm=str(tmp_path / "lm.arpa"), lm_weight=0.0, bonus=0.0, unknown_penalty=0.0)


@pytest.fixture
def posteriors() -> DevSetPosteriors:
    said, spoken = ["YES NO", "YES NO", "YES"], ["YET NO", "YES GO", "YES"]
    return DevSetPosteriors(TOKENIZER, said, [misheard(a, b, 1.0) for a, b in zip(said, spoken, strict=True)])


def test_a_weight_that_mends_the_errors_is_found(posteriors: DevSetPosteriors, config: DecodingConfig) -> None:
    assert posteriors.decode(None) == ["YET NO", "YES GO", "YES"]
    assert posteriors.wer(None) == pytest.approx(2 / 5)
    shown: list[WeightTrial] = []
    found, tried = tune_ctc(posteriors, config, trials=8, seed=1, progress=shown.append)
    assert (tried[0].lm_weight, tried[0].bonus) == (0.0, 0.0)
    assert tried[0].wer == pytest.approx(2 / 5)
    assert posteriors.wer(found) == min(trial.wer for trial in tried) == 0.0
    assert shown == tried
    assert found.lm == config.lm
    assert (
        tune_ctc(posteriors, config, trials=8, seed=1)[1] == tried != tune_ctc(posteriors, config, trials=8, seed=2)[1]
    )
    for trials in (0, -1):
        with pytest.raises(EvaluationError, match="`trials` must be at least 1"):
            tune_ctc(posteriors, config, trials=trials)


@pytest.mark.parametrize("said", [["YET NO", "GO"], ["ZOE", "NOD"], ["YES YES YES", "ODD"]])
def test_off_is_found_where_the_model_only_harms(said: list[str], config: DecodingConfig) -> None:
    """Texts that the acoustics have right and the model does not know."""
    posteriors = DevSetPosteriors(TOKENIZER, said, [misheard(text, "", -9.0) for text in said])
    biased = replace(config, lm_weight=1.0, bonus=0.0, unknown_penalty=5.0)
    found, tried = tune_ctc(posteriors, biased, trials=2, seed=1)
    assert (tried[-1].lm_weight, tried[-1].bonus, tried[-1].wer) == (0.0, 0.0, posteriors.wer(None))
    assert posteriors.wer(found) == 0.0
    assert found.lm is None
