"""Models: one file per paper. `ModelConfig` is the closed union of what can be trained.

A new model is one file with its configuration, whose `build` makes it, and its class; and one member of a union below.
"""

import typing
from dataclasses import replace
from typing import Annotated, Any

from noisewise.config import one_of
from noisewise.models.cat.objective import CATPretrainingConfig
from noisewise.models.cat.tagger import CATTaggerConfig
from noisewise.models.ctc import CTCConfig
from noisewise.models.encoder_decoder import EncoderDecoderConfig
from noisewise.models.lm import TransformerLM, TransformerLMConfig
from noisewise.models.model import AcousticModel, Model
from noisewise.models.wav2code.codebook_learning import CodebookLearningConfig
from noisewise.models.wav2code.wav2code import Wav2CodeConfig
from noisewise.models.wav2vec2.ew2 import EW2Config
from noisewise.models.wav2vec2.pretraining import Wav2Vec2PretrainingConfig
from noisewise.models.whisper.whisper import Whisper, WhisperConfig

__all__ = [
    "AcousticConfig",
    "AcousticModel",
    "AnyModel",
    "Model",
    "ModelConfig",
    "ModelUnion",
    "build",
    "model_type",
    "settled",
]

AcousticConfig = CTCConfig | Wav2CodeConfig | EncoderDecoderConfig | WhisperConfig
"""Models that give log-probabilities of tokens: recognisers."""
ModelUnion = (
    AcousticConfig
    | Wav2Vec2PretrainingConfig
    | EW2Config
    | CodebookLearningConfig
    | CATPretrainingConfig
    | CATTaggerConfig
    | TransformerLMConfig
)
ModelConfig = Annotated[ModelUnion, one_of("kind")]
AnyModel = Model | TransformerLM
"""Models of sound, and of text."""


def build(config: ModelUnion) -> AnyModel:
    """The model that a configuration describes, randomly initialised."""
    return config.build()


def model_type(config: type[Any]) -> type[AnyModel]:
    """The class of the models that configurations of a class describe."""
    found: type[AnyModel] = typing.get_type_hints(config.build)["return"]
    return found


def settled(config: Any, model: AnyModel) -> Any:
    """The configuration as a released model needs it: what a pre-trained encoder's source holds is written out, and so
    are the statistics that CAT has measured."""
    if isinstance(model, Whisper):
        return replace(config, encoder=model.config.encoder, decoder=model.config.decoder)
    encoder: Any = getattr(model, "encoder", None)
    return replace(config, encoder=encoder.settled()) if hasattr(encoder, "settled") else config
