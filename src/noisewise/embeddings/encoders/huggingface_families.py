"""What differs between families of transformers: the longest input, and which frames are the clip's own.

| family | longest input | padding | pooled vector |
|---|---|---|---|
| AST | 10.26 s (its `max_length`) | zeros behind the clip | mean of the CLS and the distillation token |
| CLAP | 10 s | the clip repeated, then zeros | its projection into the space of audio and text |
| all others | any length | none | none: the mean of their frames |

The encoders attend to the padding. Legend: D width, M bands, T times.
"""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from noisewise.embeddings.encoders.protocol import Encoding

POOLED = ("audio-spectrogram-transformer", "clap_audio_model")
"""Families with a vector of their own for a clip."""
CLASSES = {"clap": "ClapAudioModelWithProjection", "clap_audio_model": "ClapAudioModelWithProjection"}
"""Families of which `AutoModel` is not the audio encoder alone."""
UNUSED = ("masked_spec_embed", "position_ids")
"""Weights that only training needs, or that are no weights."""
HOP, FRAME = 160, 400
"""Samples from frame to frame, and in a frame, of AST's spectrograms at 16 kHz."""


def encoder_of(model: Any) -> Any:
    """The encoder alone, of a model that has a decoder too."""
    return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model


def window(family: str, extractor: Any) -> int | None:
    """Longest input of a model in samples; None for any length."""
    match family:
        case "audio-spectrogram-transformer":
            return int((extractor.max_length - 1) * HOP + FRAME)
        case "clap_audio_model":
            return int(extractor.nb_max_samples)
    return None


def encoding(config: Any, output: Any, row: int, samples: int, most: int | None, mask: Tensor | None) -> Encoding:
    """The encoding of one clip, without the frames of padding.

    Args:
        config: configuration of the model.
        output: output of the model for a batch.
        row: row of the clip in the batch.
        samples: samples of the clip.
        most: longest input of the model, in samples.
        mask: which of the clip's inputs are valid, where the extractor gives that. (F,) or (T,)
    """
    hidden: Tensor = output.last_hidden_state[row]
    match config.model_type:
        case "audio-spectrogram-transformer":
            return _ast(hidden, output.pooler_output[row], config, samples)
        case "clap_audio_model":
            return _clap(hidden, output.audio_embeds[row], samples / (most or samples))
    if mask is not None and len(mask) == len(hidden):
        hidden = hidden[: int(mask.sum())]
    pooler = getattr(output, "pooler_output", None)
    return Encoding(hidden, pooler=None if pooler is None else pooler[row])


def _ast(hidden: Tensor, pooler: Tensor, config: Any, samples: int) -> Encoding:
    """CLS, distillation token and patches, band after band. (2 + M T, D)"""
    times = (config.max_length - config.patch_size) // config.time_stride + 1
    own = max(1, math.ceil((1 + (samples - FRAME) // HOP) / config.time_stride))
    grid = hidden[2:].view(-1, times, hidden.size(1))  # (M, T, D)
    return Encoding(grid.mean(dim=0)[:own], cls=hidden[0], pooler=pooler)


def _clap(hidden: Tensor, embedding: Tensor, share: float) -> Encoding:
    """A grid of bands and times; of a short clip, which the extractor repeats, the first copy alone. (D, M, T)"""
    frames = hidden.mean(dim=1).T  # (T, D)
    return Encoding(frames[: max(1, math.ceil(len(frames) * share))], pooler=F.normalize(embedding, dim=0))
