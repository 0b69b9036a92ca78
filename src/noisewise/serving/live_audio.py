"""Samples that come in pieces, as bytes of one of the codings of telephony and microphones.

Legend: T samples.
"""

from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from noisewise.audio.files.protocol import Samples
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.serving.api_error import ApiError

RATES = (8_000, 48_000)
"""Sample rates that are taken."""
WIDTHS: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("<i2"), 4: np.dtype("<i4")}
"""Bytes of a sample to its type: unsigned 8 bit, and signed 16 and 32 bit with the low byte first."""


class LiveDecoder:
    """Turns bytes of any length into samples at 16 kHz, as one signal.

    Args:
        coding: `pcm`, `pcmu` (mu-law) or `pcma` (A-law).
        rate: samples per second.
        width: bytes of a sample of pcm.
        channels: interleaved; they are mixed.

    Raises:
        ApiError: a rate, width or number of channels that is not taken.

    Example:
        >>> decoder = LiveDecoder("pcm", 16_000)
        >>> decoder.feed(b"\\x00\\x40\\x00").tolist(), decoder.feed(b"\\xc0").tolist()
        ([0.5], [-0.5])
    """

    def __init__(self, coding: str = "pcm", rate: int = 24_000, width: int = 2, channels: int = 1):
        if not RATES[0] <= rate <= RATES[1]:
            raise ApiError(f"`rate` must be {RATES[0]} to {RATES[1]} samples per second, but is {rate}", param="rate")
        if width not in WIDTHS or not 1 <= channels <= 8:
            raise ApiError(f"samples must have 1, 2 or 4 bytes and 1 to 8 channels, but have {width} and {channels}")
        self._table = {"pcmu": MU_LAW, "pcma": A_LAW}.get(coding)
        self._width, self._channels = (1 if self._table is not None else width), channels
        self._rest = b""
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")

    def end(self) -> Samples:
        """The samples that a resampler holds back, after which another signal may begin. -> (T,)"""
        self._rest = b""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        found: Samples = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        self._resampler.clear()
        return found

    def feed(self, content: bytes) -> Samples:
        """The samples of some bytes. -> (T,)"""
        content = self._rest + content
        whole = len(content) - len(content) % (self._width * self._channels)
        self._rest = content[whole:]
        values = self._values(content[:whole]).reshape(-1, self._channels)
        samples: Samples = values.mean(axis=1, dtype=np.float32)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        return samples

    def _values(self, content: bytes) -> Samples:
        values: NDArray[Any] = np.frombuffer(content, WIDTHS[self._width])
        if self._table is not None:
            found: Samples = self._table[values]
            return found
        centre, scale = (128 if self._width == 1 else 0), 1 << (8 * self._width - 1)
        return ((values.astype(np.float64) - centre) / scale).astype(np.float32)


def _mu_law() -> NDArray[np.float32]:
    """ITU-T G.711, mu-law, decoded. (256,)"""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    value = (((mantissa << 3) + 0x84) << exponent.astype(np.int32)) - 0x84
    return (np.where(code & 0x80, -value, value) / 2**15).astype(np.float32)


def _a_law() -> NDArray[np.float32]:
    """ITU-T G.711, A-law, decoded. (256,)"""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    value = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, value, -value) / 2**15).astype(np.float32)


MU_LAW, A_LAW = _mu_law(), _a_law()
