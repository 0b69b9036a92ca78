"""Models: one file per paper. `ModelConfig` is the closed union of what can be trained."""

from dataclasses import replace
from typing import Annotated, Any

from noisewise.config import one_of
from noisewise.models.cat.encoder import CAT
from noisewise.models.cat.objective import CATPretraining, CATPretrainingConfig
from noisewise.models.cat.tagger import CATTagger, CATTaggerConfig
from noisewise.models.ctc import CTC, CTCConfig
from noisewise.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from noisewise.models.lm import TransformerLM, TransformerLMConfig
from noisewise.models.pretrained import PretrainedEncoder
from noisewise.models.wav2code.codebook_learning import CodebookLearning, CodebookLearningConfig
from noisewise.models.wav2code.wav2code import Wav2Code, Wav2CodeConfig
from noisewise.models.wav2vec2.ew2 import EW2, EW2Config
from noisewise.models.wav2vec2.pretraining import Wav2Vec2Pretraining, Wav2Vec2PretrainingConfig

__all__ = ["AcousticConfig", "AcousticModel", "AnyModel", "Model", "ModelConfig", "build", "settled"]

AcousticConfig = CTCConfig | Wav2CodeConfig | EncoderDecoderConfig
"""Models that give log-probabilities of symbols: what recognises."""
AcousticModel = CTC | Wav2Code | EncoderDecoder

ModelConfig = Annotated[
    CTCConfig
    | Wav2Vec2PretrainingConfig
    | EW2Config
    | CodebookLearningConfig
    | Wav2CodeConfig
    | EncoderDecoderConfig
    | CATPretrainingConfig
    | CATTaggerConfig
    | TransformerLMConfig,
    one_of("kind"),
]
Model = (
    CTC | Wav2Vec2Pretraining | EW2 | CodebookLearning | Wav2Code | EncoderDecoder | CATPretraining | CATTagger
)  # fmt: skip
"""Models of sound; each has an `encoder`."""
AnyModel = Model | TransformerLM
"""All of them."""


def build(
    config: CTCConfig
    | Wav2Vec2PretrainingConfig
    | EW2Config
    | CodebookLearningConfig
    | Wav2CodeConfig
    | EncoderDecoderConfig
    | CATPretrainingConfig
    | CATTaggerConfig
    | TransformerLMConfig,
) -> AnyModel:
    """The model that a configuration describes, randomly initialised."""
    match config:
        case CTCConfig():
            return CTC(config)
        case Wav2Vec2PretrainingConfig():
            return Wav2Vec2Pretraining(config)
        case EW2Config():
            return EW2(config)
        case CodebookLearningConfig():
            return CodebookLearning(config)
        case Wav2CodeConfig():
            return Wav2Code(config)
        case EncoderDecoderConfig():
            return EncoderDecoder(config)
        case CATPretrainingConfig():
            return CATPretraining(config.encoder, config.objective)
        case CATTaggerConfig():
            return CATTagger(config)
        case TransformerLMConfig():
            return TransformerLM(config)


def settled(config: Any, model: AnyModel) -> Any:
    """The configuration as a released model needs it: what a pre-trained encoder's source said is written out, and so
    are the statistics that CAT has measured."""
    match getattr(model, "encoder", None):
        case PretrainedEncoder() as encoder:
            return replace(config, encoder=encoder.config)
        case CAT() as encoder:
            return replace(config, encoder=encoder.settled())
    return config
