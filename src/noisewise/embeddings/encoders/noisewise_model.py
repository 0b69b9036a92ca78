"""The encoder of a noisewise model of any kind: a recogniser, a pre-trained stage, CAT, a tagger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from noisewise import __version__
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.checkpoints import model_folder
from noisewise.checkpoints.foreign import whisper_folder
from noisewise.embeddings.encoders.protocol import Encoding, FrozenEncoder
from noisewise.models.cat.encoder import CAT
from noisewise.models.encoder import EncoderOutput
from noisewise.models.whisper.encoder import WhisperEncoder


class NoisewiseEncoder(FrozenEncoder):
    """An encoder of noisewise, which takes clips of any lengths in one batch."""

    sample_rate = SAMPLE_RATE

    def __init__(self, name: str, encoder: Any, weights_sha256: str, device: str) -> None:
        self.name, self.encoder, self.weights_sha256 = name, encoder.to(device).eval(), weights_sha256
        self.device = device
        self.window = None
        """Longest input in samples: a CAT of so many `frames` cuts what lies beyond them, and a Whisper has 30 s."""
        if isinstance(encoder, WhisperEncoder):
            self.window = encoder.longest
        if isinstance(encoder, CAT) and encoder.config.frames:
            self.window = encoder.config.frames * encoder.features.hop
        self.pooling = "cls" if isinstance(encoder, CAT) else "mean"
        self.details = {"architecture": type(encoder).__name__, "noisewise": __version__}

    def encode(self, clips: Sequence[Tensor]) -> list[Encoding]:
        """Encode all clips together; the layers mask the padding of each."""
        waveform = pad_sequence(list(clips), batch_first=True).to(self.device)
        lengths = torch.tensor([len(clip) for clip in clips], device=self.device)
        if isinstance(self.encoder, CAT):
            return _encoded_by_cat(self.encoder, waveform, lengths)
        output: EncoderOutput = self.encoder(waveform, lengths)
        return [Encoding(row[:count]) for row, count in zip(output.features, output.lengths.tolist(), strict=True)]


def load(name: str, device: str = "cpu") -> NoisewiseEncoder:
    """Read a model folder, `box`, or a checkpoint of fairseq.

    Raises:
        NoisewiseError: there is no usable model.
    """
    located = model_folder.locate(name)
    path = located.path
    model: Any = model_folder.load(path).model if located.is_foreign else model_folder.load_stored(path).model()
    return NoisewiseEncoder(path.name, model.encoder, model_folder.weights_hash(path), device)


def load_whisper(name: str, folder: Path, device: str = "cpu") -> NoisewiseEncoder:
    """Read the encoder of a Whisper of transformers or CTranslate2; clips are encoded at their own length.

    Raises:
        InteropError: a file of it cannot be used.
    """
    return NoisewiseEncoder(name, whisper_folder.read(folder).encoder(), model_folder.weights_hash(folder), device)


def _encoded_by_cat(encoder: CAT, waveform: Tensor, lengths: Tensor) -> list[Encoding]:
    """CLS, and each time's mean over the bands of the grid; a clip without a frame has no times. (B, T), (B,)"""
    log_mel, counts = encoder.log_mel(waveform, lengths)
    patches = encoder.patches(log_mel, counts)
    times_of = (patches.times * (counts > 0)).tolist()
    output = encoder.encode(patches, patches.every().cpu())
    frames = [
        tokens[: times * patches.bands].view(times, patches.bands, tokens.size(1)).mean(dim=1)
        for tokens, times in zip(output.tokens, times_of, strict=True)
    ]
    return [Encoding(each, cls=cls) for each, cls in zip(frames, output.clip, strict=True)]
