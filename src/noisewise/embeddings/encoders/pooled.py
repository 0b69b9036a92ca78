"""One interface to all frozen encoders: waveforms in, one vector a clip, or the vectors of its frames.

A clip that is longer than the input of the encoder is encoded in equal parts. Its vector is the mean of theirs, its
frames are theirs in a row. (The extractors of transformers would cut such a clip, CLAP's at random.)

Legend: B clips, G frames of the frozen encoder, E its width.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from noisewise.audio.waveform import SAMPLE_RATE, resample
from noisewise.embeddings.encoders.protocol import Encoding, FrozenEncoder
from noisewise.errors import ModelError

__all__ = ["POOLINGS", "PooledEncoder"]

POOLINGS = ("mean", "cls", "pooler")


class PooledEncoder:
    """A frozen external encoder with a pooling; the vectors of a clip do not depend on padding or on the batch."""

    def __init__(
        self,
        encoder: FrozenEncoder,
        *,
        pooling: str | None = None,
        normalise: bool = False,
        window_seconds: float | None = None,
    ) -> None:
        """Choose how clips become vectors; a second of noise is encoded to learn the widths.

        Args:
            encoder: what encodes.
            pooling: how frames become one vector: `mean`, `cls` or `pooler`; None for the encoder's own.
            normalise: whether vectors are brought to length 1.
            window_seconds: longer clips are encoded in equal parts of at most this; None for the encoder's own.

        Raises:
            ModelError: the encoder has no such pooling, or takes no windows so long.
        """
        self.encoder, self.normalise = encoder, normalise
        self.name, self.sample_rate = encoder.name, encoder.sample_rate
        self.window = _window(encoder, window_seconds)
        encoding = self._encode([_noise(min(self.sample_rate, self.window or self.sample_rate))])[0]
        self.dims = _dims(encoding)
        self.pooling = _chosen(encoder, pooling, self.dims)

    @property
    def dim(self) -> int:
        """Width of the vector of a clip."""
        return self.dims[self.pooling]

    @property
    def frame_dim(self) -> int:
        """Width of the vectors of frames.

        Raises:
            ModelError: the encoder gives clips alone.
        """
        if "mean" not in self.dims:
            raise ModelError(f"`{self.name}` must give frames, but gives one vector a clip; leave --frames out")
        return self.dims["mean"]

    def __call__(self, waveform: Tensor, lengths: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
        """One vector a clip, without gradient.

        Args:
            waveform: (B, T) float32, at `sample_rate`; it is resampled to the encoder's.
            lengths: valid samples. (B,)
            sample_rate: samples per second of `waveform`.

        Returns:
            (B, E) float32, on the device of the waveform.

        Raises:
            ModelError: a clip is too short for the encoder.
        """
        return torch.stack(self.vectors(self._clips(waveform, lengths, sample_rate))).to(waveform.device)

    def frames(self, waveform: Tensor, lengths: Tensor, sample_rate: int = SAMPLE_RATE) -> tuple[Tensor, Tensor]:
        """The frames of clips, as `__call__`. -> (B, G, E), zero past their lengths (B,)"""
        rows = self.frame_vectors(self._clips(waveform, lengths, sample_rate))
        counts = torch.tensor([len(row) for row in rows], device=waveform.device)
        return pad_sequence(rows, batch_first=True).to(waveform.device), counts

    def vectors(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """One vector of each clip. (T,) each, at the encoder's rate -> (E,) each"""
        return [self._scaled(torch.stack([self._pooled(part) for part in parts]).mean(0)) for parts in self._all(clips)]

    def frame_vectors(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """The frames of each clip. (T,) each, at the encoder's rate -> (G, E) each"""
        return [self._scaled(torch.cat([self._frames(part) for part in parts])) for parts in self._all(clips)]

    def _all(self, clips: Sequence[Tensor]) -> list[list[Encoding]]:
        """The encodings of the parts of each clip, all parts encoded together."""
        parts = [_parts(clip, self.window) for clip in clips]
        encodings = iter(self._encode([part for each in parts for part in each]))
        return [[next(encodings) for _ in each] for each in parts]

    def _encode(self, clips: Sequence[Tensor]) -> list[Encoding]:
        with torch.no_grad(), torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            return self.encoder.encode(clips)

    def _pooled(self, encoding: Encoding) -> Tensor:
        if self.pooling == "mean":
            return self._frames(encoding).mean(dim=0)
        if encoding.frames is not None:
            self._frames(encoding)  # CLS alone is there of a clip without a frame too
        found = encoding.cls if self.pooling == "cls" else encoding.pooler
        assert found is not None, "one clip has it, so all have"
        return found.float().cpu()

    def _frames(self, encoding: Encoding) -> Tensor:
        if encoding.frames is None or not len(encoding.frames):
            raise ModelError(f"a clip must be long enough for a frame of `{self.name}`, but is not; leave it out")
        return encoding.frames.float().cpu()

    def _scaled(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1) if self.normalise else vectors

    def _clips(self, waveform: Tensor, lengths: Tensor, sample_rate: int) -> list[Tensor]:
        """The rows of a batch at the encoder's rate, without padding."""
        rows = zip(waveform.detach().float().cpu(), lengths.tolist(), strict=True)
        return [torch.from_numpy(resample(row[:count].numpy(), sample_rate, self.sample_rate)) for row, count in rows]


def _window(encoder: FrozenEncoder, seconds: float | None) -> int | None:
    if seconds is None:
        return encoder.window
    samples = round(seconds * encoder.sample_rate)
    if samples < 1 or (encoder.window is not None and samples > encoder.window):
        most = "" if encoder.window is None else f" and at most {encoder.window / encoder.sample_rate:.2f}"
        raise ModelError(f"`window_seconds` must be positive{most}, but is {seconds:g} instead")
    return samples


def _parts(clip: Tensor, window: int | None) -> list[Tensor]:
    """Equal parts (to a sample) of at most `window`. (T,) -> (T / parts,) each"""
    count = 1 if window is None else max(1, math.ceil(len(clip) / window))
    return list(clip.tensor_split(count))


def _noise(samples: int) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))


def _dims(encoding: Encoding) -> dict[str, int]:
    """Width of the vector that each pooling gives."""
    found = {"mean": encoding.frames, "cls": encoding.cls, "pooler": encoding.pooler}
    return {name: int(vector.shape[-1]) for name, vector in found.items() if vector is not None}


def _chosen(encoder: FrozenEncoder, pooling: str | None, dims: dict[str, int]) -> str:
    wanted = pooling or encoder.pooling or next(iter(dims))
    if wanted not in dims:
        raise ModelError(f"`pooling` must be one of {', '.join(dims)} for `{encoder.name}`, but is '{wanted}' instead")
    return wanted
