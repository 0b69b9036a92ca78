"""Models: one file per paper. `ModelConfig` is the closed union of what can be trained and released."""

from noisewise.models.ctc import CTC, CTCConfig, settled

__all__ = ["Model", "ModelConfig", "build", "settled"]

ModelConfig = CTCConfig
Model = CTC


def build(config: ModelConfig) -> Model:
    """The model that a configuration describes, randomly initialised."""
    match config:
        case CTCConfig():
            return CTC(config)
