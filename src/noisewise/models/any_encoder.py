"""The encoders of speech: what `kind` may be under `encoder`. A new one is added to `EncoderUnion` alone."""

from typing import Annotated

from noisewise.config import one_of
from noisewise.models.encoder import Encoder
from noisewise.models.logmel_transformer import LogMelTransformerConfig
from noisewise.models.pretrained import PretrainedConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.whisper.encoder import WhisperEncoderConfig

EncoderUnion = LogMelTransformerConfig | Wav2Vec2Config | PretrainedConfig | WhisperEncoderConfig
EncoderConfig = Annotated[EncoderUnion, one_of("kind")]


def build_encoder(config: EncoderUnion) -> Encoder:
    """The encoder that a configuration describes, randomly initialised."""
    return config.build()
