"""What families of transformers have of their own: how much they hear at once, which of their frames are the clip's.

| family | hears | padding | own vector |
|---|---|---|---|
| AST | 10.26 s (its `max_length`) | zeros behind the clip, heard | mean of the CLS and the distillation token |
| CLAP | 10 s | the clip repeated, then zeros, heard | its projection into the space of audio and text, of length 1 |
| Whisper | 30 s | silence, heard | none: the mean of the clip's own frames |
| all others | any length | none | none: the mean of their frames |

Legend: F frames, D width, M bands, T times.
"""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from noisewise.embeddings.encoders.protocol import Heard

POOLED = ("audio-spectrogram-transformer", "clap_audio_model")
"""Families with a vector of their own for a clip."""
CLASSES = {"clap": "ClapAudioModelWithProjection", "clap_audio_model": "ClapAudioModelWithProjection"}
"""Families of which `AutoModel` is not the audio encoder alone."""
UNUSED = ("masked_spec_embed", "position_ids")
"""Weights that only training needs, or that are no weights."""
HOP, FRAME = 160, 400
"""Samples from frame to frame, and in a frame, of AST's and Whisper's spectrograms at 16 kHz."""


def encoder_of(model: Any) -> Any:
    """The encoder alone, of a model that has a decoder too."""
    return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model


def window(family: str, extractor: Any) -> int | None:
    """Samples that a model hears at once, None where it takes any number."""
    match family:
        case "audio-spectrogram-transformer":
            return int((extractor.max_length - 1) * HOP + FRAME)
        case "clap_audio_model":
            return int(extractor.nb_max_samples)
        case "whisper":
            return int(extractor.n_samples)
    return None


def heard(config: Any, output: Any, row: int, samples: int, most: int | None, mask: Tensor | None) -> Heard:
    """What a model said of one clip, without the frames of padding.

    Args:
        config: of the model.
        output: of a batch.
        row: of the clip in the batch.
        samples: of the clip.
        most: samples that the model hears at once.
        mask: which of the clip's inputs are valid, where the extractor says so. (F,), or samples
    """
    hidden: Tensor = output.last_hidden_state[row]
    match config.model_type:
        case "audio-spectrogram-transformer":
            return _ast(hidden, output.pooler_output[row], config, samples)
        case "clap_audio_model":
            return _clap(hidden, output.audio_embeds[row], samples / (most or samples))
        case "whisper":
            return Heard(hidden[: max(1, math.ceil(samples / (2 * HOP)))])
    if mask is not None and len(mask) == len(hidden):
        hidden = hidden[: int(mask.sum())]
    pooler = getattr(output, "pooler_output", None)
    return Heard(hidden, pooler=None if pooler is None else pooler[row])


def _ast(hidden: Tensor, pooler: Tensor, config: Any, samples: int) -> Heard:
    """CLS, distillation token and patches, band after band. (2 + M T, D)"""
    times = (config.max_length - config.patch_size) // config.time_stride + 1
    own = max(1, math.ceil((1 + (samples - FRAME) // HOP) / config.time_stride))
    grid = hidden[2:].view(-1, times, hidden.size(1))  # (M, T, D)
    return Heard(grid.mean(dim=0)[:own], cls=hidden[0], pooler=pooler)


def _clap(hidden: Tensor, embedding: Tensor, share: float) -> Heard:
    """A grid of bands and times; of a short clip, which is heard several times, the first hearing. (D, M, T)"""
    frames = hidden.mean(dim=1).T  # (T, D)
    return Heard(frames[: max(1, math.ceil(len(frames) * share))], pooler=F.normalize(embedding, dim=0))
