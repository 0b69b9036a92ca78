"""The closed union of encoders of speech: what `kind` may be under `encoder`."""

from typing import Annotated

from noisewise.config import one_of
from noisewise.models.logmel_transformer import LogMelTransformer, LogMelTransformerConfig
from noisewise.models.pretrained import PretrainedConfig, PretrainedEncoder
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config, Wav2Vec2Encoder

EncoderConfig = Annotated[LogMelTransformerConfig | Wav2Vec2Config | PretrainedConfig, one_of("kind")]


AnyEncoder = LogMelTransformer | Wav2Vec2Encoder | PretrainedEncoder


def build_encoder(config: LogMelTransformerConfig | Wav2Vec2Config | PretrainedConfig) -> AnyEncoder:
    """The encoder that a configuration describes."""
    match config:
        case LogMelTransformerConfig():
            return LogMelTransformer(config)
        case Wav2Vec2Config():
            return Wav2Vec2Encoder(config)
        case PretrainedConfig():
            return PretrainedEncoder(config)
