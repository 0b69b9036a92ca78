"""What external encoders make of the clips of a batch: read with it from a store, or computed on the fly."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from noisewise.batch import Batch
from noisewise.config import config
from noisewise.embeddings import encoders as external
from noisewise.errors import ConfigError
from noisewise.models.cat.alignment import AlignmentConfig, External


@config
class OnTheFlyConfig:
    """An external encoder that is given the student's input, while it trains."""

    encoder: str
    """A model folder, a folder of transformers, hf:ORGANISATION/NAME@REVISION or python:module:function, as for
    `noisewise embed`."""
    pooling: str | None = None
    """mean, cls or pooler; null for the encoder's own."""
    normalise: bool = False
    """Whether vectors have length 1."""
    device: str = "cpu"
    """Device of the encoder."""
    remember: int = 0
    """Clips whose vectors are kept, so that a clip that is the same, sample for sample, is not encoded again."""


class OnTheFlyEncoder:
    """One encoder, which is given each clip alone: a clip's vector does not depend on its batch, to the last bit."""

    def __init__(self, config: OnTheFlyConfig, *, frames: bool):
        self.config, self.frames = config, frames
        self.encoder = external.load(
            config.encoder, pooling=config.pooling, normalise=config.normalise, device=config.device
        )
        self.dim = self.encoder.frame_dim if frames else self.encoder.dim
        self.known: dict[bytes, Tensor] = {}

    def __call__(self, batch: Batch) -> External:
        """The vectors of a batch, on its device."""
        waveform = batch.waveform.detach().cpu()
        with torch.autocast(torch.device(self.config.device).type, enabled=False):  # the student's precision is its own
            found = [self._encode(row[:count]) for row, count in zip(waveform, batch.lengths.tolist(), strict=True)]
        device = batch.waveform.device
        if not self.frames:
            return External(torch.stack(found).to(device))
        padded = torch.nn.utils.rnn.pad_sequence(found, batch_first=True)
        return External(padded.to(device), torch.tensor([len(each) for each in found], device=device))

    def _encode(self, clip: Tensor) -> Tensor:
        """(S,) -> (E,), or (G, E)"""
        key = hashlib.blake2b(clip.numpy().tobytes(), digest_size=16).digest() if self.config.remember else b""
        if key in self.known:
            return self.known[key]
        rows, lengths = clip[None], torch.tensor([len(clip)])
        vector = self.encoder.frames(rows, lengths)[0][0] if self.frames else self.encoder(rows, lengths)[0]
        if len(self.known) < self.config.remember:
            self.known[key] = vector
        return vector


class ExternalVectors:
    """The features that alignments ask for, by the names of their encoders."""

    def __init__(self, alignments: Sequence[AlignmentConfig], encoders: Mapping[str, OnTheFlyConfig]):
        """Load the encoders that run on the fly.

        Raises:
            ConfigError: no alignment names an encoder, or its vectors have another width.
            ModelError: an encoder cannot be used.
        """
        self.alignments = alignments
        self.on_the_fly: dict[str, OnTheFlyEncoder] = {}
        for name, each in encoders.items():
            asking = [one for one in alignments if one.encoder == name]
            if not asking:
                known = sorted({one.encoder for one in alignments})
                raise ConfigError(
                    f"`task.encoders` must be named by `model.objective.alignments`, {known}, not '{name}'"
                )
            self.on_the_fly[name] = OnTheFlyEncoder(each, frames=any(one.level == "frames" for one in asking))
            self._check_width(name, self.on_the_fly[name].dim)

    def of(self, batch: Batch) -> dict[str, External]:
        """One entry for each encoder.

        Raises:
            ConfigError: an encoder is not to be had, is there twice, or has vectors of another width.
        """
        found = {name: External(values, batch.vector_lengths.get(name)) for name, values in batch.vectors.items()}
        for name in {one.encoder for one in self.alignments}:
            if (name in found) == (name in self.on_the_fly):
                have = "both are" if name in found else "neither is"
                raise ConfigError(
                    f"`train.embeddings.{name}` (validation too) or `task.encoders.{name}` must be given, but {have}; "
                    "name a store that `noisewise embed` wrote, or an encoder that runs on the fly"
                )
            if name in found:
                self._check_width(name, found[name].features.size(-1))
        return {**found, **{name: encoder(batch) for name, encoder in self.on_the_fly.items()}}

    def _check_width(self, name: str, dim: int) -> None:
        for place, one in enumerate(self.alignments):
            if one.encoder == name and one.dim != dim:
                raise ConfigError(
                    f"`model.objective.alignments.{place}.dim` must be {dim}, the width of `{name}`, but is {one.dim}"
                )
