"""Costs: against counts by hand and against Table VIII of Wav2code."""

from functools import cache

import pytest

from noisewise.errors import NoisewiseError
from noisewise.flops import SIZES, ModelCost, measure
from noisewise.models.cat.tagger import CATTaggerConfig
from noisewise.models.ctc import CTCConfig
from noisewise.models.lm import TransformerLMConfig
from noisewise.models.logmel_transformer import tiny
from noisewise.models.wav2code.predictor import NearestConfig
from noisewise.models.wav2code.wav2code import Wav2CodeConfig

TABLE_SECONDS = 45_950 / 16_000
"""The length that 20.3 G stands for: the paper does not say it."""


@cache
def cost(name: str, seconds: float) -> ModelCost:
    return measure(SIZES[name], seconds)


def part(whole: ModelCost, name: str) -> int:
    return next(module.macs for module in whole.modules if module.name == name)


def test_the_parameters_of_the_paper() -> None:
    assert cost("wav2vec2-base", 1.0).total.parameters == 94_371_712
    assert cost("ew2-base", 1.0).total.parameters == 95_044_608  # "around 95 M"
    assert 103.0e6 <= cost("wav2code-base", TABLE_SECONDS).total.parameters <= 104.6e6  # "around 104 M"


def test_the_encoder_against_a_count_by_hand() -> None:
    """One second: 49 frames of 768, 12 layers, inner width 3072."""
    whole = cost("wav2vec2-base", 1.0)
    lengths, length = [], 16_000
    for kernel, stride in [(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)]:
        length = (length - kernel) // stride + 1
        lengths.append(length * kernel)
    assert whole.frames == length == 49
    convolutions = lengths[0] * 512 + sum(lengths[1:]) * 512 * 512
    assert part(whole, "cnn") == convolutions
    assert part(whole, "projection") == 49 * 512 * 768
    assert part(whole, "position") == 50 * 768 * 48 * 128  # an even kernel gives one frame more
    layer = 4 * 49 * 768 * 768 + 2 * 49 * 49 * 768 + 2 * 49 * 768 * 3072
    assert part(whole, "transformer.layers.3") == layer
    assert whole.total.macs == convolutions + 49 * 512 * 768 + 50 * 768 * 48 * 128 + 12 * layer
    assert whole.total.macs == pytest.approx(6.91e9, rel=1e-3)
    assert whole.total.operations("flops") == 2 * whole.total.macs
    unseen = 12 * (4 * 49 * 768 * 768 + 2 * 49 * 49 * 768)
    assert whole.total.operations("hook") == whole.total.macs - unseen


def test_table_eight() -> None:
    """20.3 G in every row of pre-training, and 1.0 G more for Wav2code where attention is not seen."""
    ours, theirs = cost("wav2code-base", TABLE_SECONDS).total, cost("ctc-base", TABLE_SECONDS).total
    assert round(cost("wav2vec2-base", TABLE_SECONDS).total.macs / 1e9, 1) == 20.3
    assert round(cost("ew2-base", TABLE_SECONDS).total.macs / 1e9, 1) == 20.3
    assert round(theirs.macs / 1e9, 1) == 20.3
    assert round((ours.operations("hook") - theirs.operations("hook")) / 1e9, 1) == 1.0


def test_what_wav2code_adds_against_a_count_by_hand() -> None:
    """Predictor (256, 4 layers, inner 2048), look-up as a product, IFF-Net (128, 4 times, two branches)."""
    whole, frames = cost("wav2code-base", TABLE_SECONDS), 143
    attention = 2 * frames * frames
    predictor = frames * (768 * 256 + 4 * (4 * 256**2 + 2 * 256 * 2048) + 256 * 1024) + 4 * attention * 256
    assert part(whole, "predictor") == predictor
    block = 2 * frames * (3 * 128**2 + 3 * 128**2) + frames * 256 * 256  # ResNet and Eq. 17; Eq. 18 and 19
    block += 2 * (attention * 128 + 2 * frames * 128**2)  # Eq. 15, 16
    assert part(whole, "fusion.blocks.0") == pytest.approx(block, rel=5e-3)  # norms may take means by products
    bottleneck = 4 * frames * 768 * 128
    fusion = 4 * block + bottleneck + frames * 1536 * 768 + attention * 768
    assert part(whole, "fusion") == pytest.approx(fusion, rel=5e-3)
    look_up = frames * 1024 * 768
    more = whole.total.macs - cost("ctc-base", TABLE_SECONDS).total.macs
    assert more == pytest.approx(predictor + fusion + look_up, rel=5e-3)


def test_the_parts_add_up() -> None:
    whole = cost("ctc-base", TABLE_SECONDS)
    modules = {module.name: module for module in whole.modules}
    for name in ("", "encoder.transformer", "encoder.transformer.layers", "encoder.transformer.layers.0"):
        inside = f"{name}." if name else ""
        parts = [part for part in modules.values() if part.name and part.name.rpartition(".")[0] == name]
        assert len(parts) >= 1 and all(part.name.startswith(inside) for part in parts)
        assert sum(part.parameters for part in parts) == modules[name].parameters
        assert sum(part.operations("hook") for part in parts) == modules[name].operations("hook")
        assert sum(part.macs for part in parts) == modules[name].macs


def test_other_encoders_and_predictors_and_short_recordings() -> None:
    log_mel = measure(CTCConfig(encoder=tiny()), 1.0)
    assert log_mel.total.macs > 0 and log_mel.frames == 25
    nearest = measure(Wav2CodeConfig(encoder=tiny(), codes=64, predictor=NearestConfig()), 1.0)
    assert nearest.total.macs - part(nearest, "encoder") - part(nearest, "fusion") - part(nearest, "head") == (
        nearest.frames * 64 * 64
    )
    with pytest.raises(NoisewiseError, match=r"must be 0\.025 or more"):
        measure(CTCConfig(encoder=tiny()), 0.02)


def test_cat_and_language_models_are_refused() -> None:
    with pytest.raises(NoisewiseError, match="but is cat_tagger"):
        measure(CATTaggerConfig(), 1.0)
    with pytest.raises(NoisewiseError, match="must be a model of sound"):
        measure(TransformerLMConfig(), 1.0)
