"""Statistics of one decoded recording: length, level, clipping, and a digest of its samples."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.snr import SnrMeter
from noisewise.audio.waveform import SAMPLE_RATE, SILENCE
from noisewise.data.manifests.cuts import Cut, audio_of, load_audio, path_of
from noisewise.errors import AudioError

FULL_SCALE = 32767 / 32768
"""The largest positive sample of 16 bits, as a float; a louder one cannot be written."""
BLOCK_SECONDS = 10.0
"""Seconds decoded at a time."""


@dataclass(frozen=True)
class AudioStats:
    """Statistics of the samples of a recording; one that cannot be used has a `problem` instead."""

    rate: int = 0
    """Sample rate of the file in Hz."""
    samples: int = 0
    """Number of samples of one channel, at the rate of the file."""
    full_scale: float = 0.0
    """Share of samples at full scale."""
    digest: str = ""
    """Digest of the rate and the samples, 16 bytes in hexadecimal."""
    wada_snr_db: float | None = None
    """Signal-to-noise ratio by WADA in dB; none where there are no samples, and in caches of before it was kept."""
    energy_snr_db: float | None = None
    """Signal-to-noise ratio by the energy of frames in dB; none where all have one level."""
    problem: str = ""
    """Reason code (see `noisewise.data.checks.reasons`); empty for a recording that can be used."""
    message: str = ""
    """Sentence that explains the problem."""

    @property
    def seconds(self) -> float:
        """Length of the recording in seconds."""
        return self.samples / self.rate if self.rate else 0.0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing that is kept today."""
        return bool(self.problem) or self.wada_snr_db is not None

    def dumped(self) -> str:
        """The statistics as JSON."""
        return json.dumps(asdict(self))


def measure(cut: Cut, max_seconds: float) -> AudioStats:
    """Decode a cut in blocks, in memory that does not grow with its length.

    Args:
        cut: what to decode. A part of a recording is decoded in one piece.
        max_seconds: longer ones are refused, by their header where it is right, else after so many decoded seconds.
    """
    try:
        rate, blocks = _blocks(cut, max_seconds)
        return _measured(rate, blocks, path_of(cut))
    except AudioError as error:
        return AudioStats(problem=error.reason, message=str(error))
    except (OSError, ValueError, MemoryError) as error:
        return AudioStats(
            problem="not_audio", message=f"`{path_of(cut)}` cannot be read: {' '.join(str(error).split())}"
        )


def _blocks(cut: Cut, max_seconds: float) -> tuple[int, Iterator[NDArray[np.float32]]]:
    path = path_of(cut)
    if cut.duration > max_seconds:
        raise AudioError(f"`{path}` must be at most {max_seconds:g} s, but is {cut.duration:.2f} s", "too_long", path)
    if cut.needs_lhotse:
        return SAMPLE_RATE, iter([load_audio(cut, allow_silent=True)])
    source = audio_of(cut)
    rate = waveform.info(source).sample_rate
    if cut.is_whole:
        return rate, waveform.stream(source, block_seconds=BLOCK_SECONDS, sample_rate=rate, max_seconds=max_seconds)
    part = waveform.load(source, sample_rate=rate, offset=cut.start, duration=cut.duration, allow_silent=True)
    return rate, iter([part])


def _measured(rate: int, blocks: Iterator[NDArray[np.float32]], path: str) -> AudioStats:
    meter = SnrMeter(rate)
    digest = hashlib.blake2b(str(rate).encode(), digest_size=16)
    samples = full = 0
    low, high = np.inf, -np.inf
    for block in blocks:
        digest.update(block.tobytes())
        meter.add(block)
        samples += len(block)
        full += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    if (high - low) / 2 < SILENCE:
        message = f"`{path}` must hold sound, but is silent (below -100 dBFS); check the microphone or the channel"
        return AudioStats(problem="silent", message=message)
    return AudioStats(rate, samples, full / samples, digest.hexdigest(), meter.wada_db(), meter.energy_db())
