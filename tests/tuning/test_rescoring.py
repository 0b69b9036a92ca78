"""The second pass tuned on score_nbest is the second pass that decodes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.rescoring import RescoringConfig
from noisewise.errors import EvaluationError
from noisewise.inference.language_model import load
from noisewise.lm import kneser_ney
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.tuning.posteriors import DevSetPosteriors
from noisewise.tuning.rescoring import score_nbest, tune_rescoring
from tests.tuning.test_ctc import misheard

TOKENIZER = CharacterTokenizer()
SAID, SPOKEN = ["YES NO", "YES NO", "YES", "NO"], ["YET NO", "YES GO", "YES", "NO"]


@pytest.fixture
def posteriors() -> DevSetPosteriors:
    log_probs = [misheard(a, b, 1.0) for a, b in zip(SAID, SPOKEN, strict=True)]
    return DevSetPosteriors(TOKENIZER, SAID, [torch.cat((each, each[-1:])) for each in log_probs])


@pytest.fixture(params=[True, False])
def config(tmp_path: Path, request: pytest.FixtureRequest) -> DecodingConfig:
    kneser_ney.train([["YES", "NO"]] * 30 + [["YES"], ["NO"]] * 5, order=2).save(tmp_path / "lm.arpa")
    rescoring = RescoringConfig(lm=str(tmp_path / "lm.arpa"), weight=0.0, nbest=8, normalise_length=request.param)
    return DecodingConfig(search=BeamConfig(beam=16), rescoring=rescoring)


def test_a_weight_that_mends_the_errors_is_found(posteriors: DevSetPosteriors, config: DecodingConfig) -> None:
    found, wer, made = tune_rescoring(posteriors, config)
    assert found.rescoring is not None and config.rescoring is not None
    assert posteriors.decode(config) == SPOKEN
    assert made.wer(0.0, 0.0, False) == pytest.approx(2 / 6)
    assert wer == posteriors.wer(found) == made.oracle == 0.0
    assert found.rescoring.weight > 0 and replace(found, rescoring=config.rescoring) == config


@pytest.mark.parametrize("keep_fusion", [True, False])
def test_lists_say_what_decoding_does(posteriors: DevSetPosteriors, config: DecodingConfig, keep_fusion: bool) -> None:
    """Also on top of a first pass with a language model of its own."""
    assert config.rescoring is not None
    rescoring = replace(config.rescoring, keep_fusion=keep_fusion)
    for first in (None, rescoring.lm):
        fused = replace(config, lm=first, lm_weight=0.1, bonus=0.0, rescoring=rescoring)
        made = score_nbest(posteriors, fused, rescoring, None, load(rescoring.lm))
        for weight, bonus in ((0.0, 0.0), (0.02, 0.0), (0.05, 0.3), (1.0, 2.0)):
            chosen = replace(fused, rescoring=replace(rescoring, weight=weight, bonus=bonus))
            assert made.wer(weight, bonus, rescoring.normalise_length) == pytest.approx(posteriors.wer(chosen))


def test_without_a_second_pass_there_is_nothing_to_tune(posteriors: DevSetPosteriors) -> None:
    with pytest.raises(EvaluationError, match="`rescoring` must name a language model"):
        tune_rescoring(posteriors, DecodingConfig())
