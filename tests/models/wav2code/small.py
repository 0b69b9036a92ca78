"""Small models of stages 2 and 3, and batches whose padding is not silent."""

from typing import Any

import torch
from torch import Tensor

from noisewise.models.wav2code.codebook_learning import (
    CodebookLearning,
    CodebookLearningConfig,
)
from noisewise.models.wav2code.iff_net import ConcatFusionConfig, IFFNetConfig, NoFusionConfig
from noisewise.models.wav2code.predictor import (
    CNNPredictorConfig,
    NearestConfig,
    TransformerPredictorConfig,
)
from noisewise.models.wav2code.wav2code import Wav2Code, Wav2CodeConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.front_end import WaveformFrontEnd

PREDICTOR = TransformerPredictorConfig(layers=2, dim=16, heads=4, feed_forward=24)
PREDICTORS = {"transformer": PREDICTOR, "cnn": CNNPredictorConfig(dim=12), "nearest": NearestConfig()}
FUSION = IFFNetConfig(bottleneck=8, repeats=2)
FUSIONS = {"iff": FUSION, "concat": ConcatFusionConfig(kernel=3), "none": NoFusionConfig()}


def an_encoder(**changes: Any) -> Wav2Vec2Config:
    small: dict[str, Any] = {
        "front_end": WaveformFrontEnd(channels=16),
        "dim": 24, "layers": 1, "heads": 4, "feed_forward": 32, "position_kernel": 6,
        "position_groups": 4, "dropout": 0.0, "input_dropout": 0.0, "attention_dropout": 0.0, "layer_drop": 0.0,
        "feature_grad_mult": 1.0,
    }  # fmt: skip
    return Wav2Vec2Config(**{**small, **changes})


def a_learner(codes: int = 9) -> CodebookLearning:
    model = CodebookLearning(CodebookLearningConfig(encoder=an_encoder(), codes=codes)).eval()
    with torch.no_grad():
        model.codebook.entries.normal_()
    return model


def a_model(**changes: Any) -> Wav2Code:
    values: dict[str, Any] = {"encoder": an_encoder(), "codes": 9, "predictor": PREDICTOR, "fusion": FUSION}
    model = Wav2Code(Wav2CodeConfig(**{**values, "dropout": 0.0, **changes})).eval()
    with torch.no_grad():
        model.codebook.entries.normal_()
    return model


def a_batch(*samples: int) -> tuple[Tensor, Tensor]:
    waveform = torch.randn(len(samples), max(samples)) * 0.1
    for row, length in enumerate(samples):
        waveform[row, length:] = 7.0
    return waveform, torch.tensor(samples)
