"""What happens to speech besides noise: rooms, clipping, narrow bands, codecs, gain, speed, lost packets, silence.

Every function is deterministic, and all but `change_speed` and `surround` keep length and timing. Those that need
chance are given uniform numbers in [0, 1). Codecs are those of libsndfile, in memory.

Legend: T samples, R taps, P packets.
"""

import io
from collections.abc import Mapping

import numpy as np
import soundfile
import soxr

from noisewise.audio.augment import reverberate, speed
from noisewise.audio.corruptions import CORRUPTIONS
from noisewise.audio.degradation import Degradation, Uniforms, Waveform, certain
from noisewise.audio.rooms import room
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.errors import AudioError

PACKET = SAMPLE_RATE // 50
"""Samples of a 20 ms packet."""
MP3_DELAY = 1105
"""Samples that LAME and its decoder put in front: 576 + 529."""


def degrade(kind: str, waveform: Waveform, level: float, uniforms: Uniforms) -> Waveform:
    """Make a recording worse.

    Args:
        kind: a key of `KNOWN`.
        waveform: 16 kHz samples in [-1, 1]. (T,)
        level: in the unit of the kind.
        uniforms: where chance is needed; for the same utterance always the same.

    Returns:
        16 kHz samples; (T,), but for the kinds `speed` and `silence`, and some of the corruptions.

    Raises:
        AudioError: there is no such kind or level, or libsndfile lacks the codec.
    """
    chosen = checked(kind, level)
    if waveform.size == 0:
        return waveform
    try:
        return chosen.apply(waveform, level, uniforms)
    except soundfile.SoundFileError as error:
        raise AudioError(
            f"libsndfile must know the codec of `{kind}`, but refuses: {error}; update soundfile"
        ) from error


def checked(kind: str, level: float) -> Degradation:
    """The degradation of a name, when it has that level.

    Raises:
        AudioError: there is no such kind or level.
    """
    chosen = KNOWN.get(kind)
    if chosen is None:
        raise AudioError(f"a degradation must be one of {', '.join(DEGRADATIONS)}, but is '{kind}' instead")
    if not chosen.least <= level <= chosen.most:
        raise AudioError(
            f"the level of `{kind}` must be between {chosen.least:g} and {chosen.most:g} {chosen.unit}, but is "
            f"{level:g} instead"
        )
    return chosen


def reverb(waveform: Waveform, seconds: float, uniforms: Uniforms) -> Waveform:
    """Put speech into a room in which sound falls by 60 dB in `seconds`; the energy stays. (T,) -> (T,)"""
    return reverberate(waveform, room(seconds, uniforms))


def clip(waveform: Waveform, db: float) -> Waveform:
    """Cut off what exceeds a threshold `db` below the peak, as an overdriven input does. (T,) -> (T,)"""
    threshold = np.float32(np.max(np.abs(waveform)) * 10 ** (-db / 20))
    return np.clip(waveform, -threshold, threshold)


def lowpass(waveform: Waveform, hertz: float) -> Waveform:
    """Keep what is below `hertz`, by resampling to twice that and back (flat to 0.91 of it). (T,) -> (T,)"""
    return _back(_resampled(waveform, SAMPLE_RATE, 2 * hertz), 2 * hertz, waveform.size)


def mulaw(waveform: Waveform, kilohertz: float) -> Waveform:
    """8-bit mu-law (G.711) at a rate of `kilohertz`; 8 is the telephone. (T,) -> (T,)"""
    rate = 1000 * kilohertz
    narrow = np.clip(_resampled(waveform, SAMPLE_RATE, rate), -1, 1)
    return _back(_through(narrow, "WAV", "ULAW"), rate, waveform.size)


def opus(waveform: Waveform, kilobits: float) -> Waveform:
    """Opus at about `kilobits` per second. (T,) -> (T,)"""
    return _fitted(_through(waveform, "OGG", "OPUS", compression_level=(256 - kilobits) / 250), waveform.size)


def vorbis(waveform: Waveform, quality: float) -> Waveform:
    """Ogg Vorbis at `quality` 0 (about 35 kbit/s) to 10. (T,) -> (T,)"""
    return _fitted(_through(waveform, "OGG", "VORBIS", compression_level=1 - quality / 10), waveform.size)


def mp3(waveform: Waveform, kilobits: float) -> Waveform:
    """MP3 at `kilobits` per second, constant, without the delay of the codec. (T,) -> (T,)"""
    level = (160 - kilobits) / 152
    coded = _through(waveform, "MP3", "MPEG_LAYER_III", compression_level=level, bitrate_mode="CONSTANT")
    delay = MP3_DELAY if len(coded) > len(waveform) else 0  # newer decoders leave the delay out themselves
    return _fitted(coded[delay:], waveform.size)


def gain(waveform: Waveform, db: float) -> Waveform:
    """Record `db` louder, or softer below 0: 16-bit steps, and clipping at full scale. (T,) -> (T,)"""
    steps = np.rint(waveform.astype(np.float64) * (32768 * 10 ** (db / 20)))
    return (np.clip(steps, -32768, 32767) / 32768).astype(np.float32)


def change_speed(waveform: Waveform, factor: float) -> Waveform:
    """Speak `factor` times as fast, pitch and all. (T,) -> (about T / factor,)"""
    return speed(waveform, factor)


def lose(waveform: Waveform, percent: float, uniforms: Uniforms) -> Waveform:
    """Silence 20 ms packets, each with a chance of `percent`; what is lost at one level is lost at higher ones.

    (T,) -> (T,)
    """
    lost = uniforms(-(-waveform.size // PACKET)) < percent / 100  # (P,)
    return np.where(np.repeat(lost, PACKET)[: waveform.size], np.float32(0), waveform)


def surround(waveform: Waveform, seconds: float) -> Waveform:
    """Put so many seconds of exact zeros before and after, as padding or a muted call does. (T,) -> (longer,)"""
    return np.pad(waveform, round(seconds * SAMPLE_RATE))


def mute_pauses(waveform: Waveform, db: float) -> Waveform:
    """Zero every 20 ms packet more than `db` below the loudest, as a noise gate does: only the loudest are left at 0.

    (T,) -> (T,)
    """
    packets = np.pad(waveform, (0, -waveform.size % PACKET)).reshape(-1, PACKET).astype(np.float64)
    power = np.mean(np.square(packets), axis=1)  # (P,)
    muted = power < power.max() * 10 ** (-db / 10)
    return np.where(np.repeat(muted, PACKET)[: waveform.size], np.float32(0), waveform)


def offset(waveform: Waveform, percent: float) -> Waveform:
    """Add a constant of `percent` of full scale, and clip there, as a bad converter does. (T,) -> (T,)"""
    clipped: Waveform = np.clip(waveform + np.float32(percent / 100), -1, 1)
    return clipped


def _through(waveform: Waveform, format: str, subtype: str, **options: float | str) -> Waveform:
    """Encode and decode in memory."""
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, SAMPLE_RATE, format=format, subtype=subtype, **options)
    buffer.seek(0)
    decoded: Waveform = soundfile.read(buffer, dtype="float32")[0]
    return decoded


def _resampled(waveform: Waveform, from_rate: float, to_rate: float) -> Waveform:
    return waveform if from_rate == to_rate else np.asarray(soxr.resample(waveform, from_rate, to_rate), np.float32)


def _back(waveform: Waveform, rate: float, samples: int) -> Waveform:
    return _fitted(_resampled(waveform, rate, SAMPLE_RATE), samples)


def _fitted(waveform: Waveform, samples: int) -> Waveform:
    """Cut, or pad with silence, to a length."""
    return np.ascontiguousarray(np.pad(waveform[:samples], (0, max(0, samples - len(waveform)))), np.float32)


DEGRADATIONS: Mapping[str, Degradation] = {
    "reverb": Degradation("s", (0.3, 0.6, 0.9, 1.2), 0.05, 10.0, reverb),
    "clip": Degradation("dB", (6, 12, 18, 24), 0, 60, certain(clip)),
    "lowpass": Degradation("Hz", (4000, 3000, 2000, 1000), 200, 8000, certain(lowpass)),
    "mulaw": Degradation("kHz", (8,), 2, 16, certain(mulaw)),
    "opus": Degradation("kbit/s", (24, 12, 6), 6, 256, certain(opus)),
    "vorbis": Degradation("of 10", (4, 0), 0, 10, certain(vorbis)),
    "mp3": Degradation("kbit/s", (32, 16), 16, 160, certain(mp3)),
    "gain": Degradation("dB", (-60, -40, -20, 20), -80, 60, certain(gain)),
    "speed": Degradation("times", (0.8, 0.9, 1.1, 1.25), 0.5, 2.0, certain(change_speed)),
    "loss": Degradation("%", (1, 5, 10, 20), 0, 100, lose),
    "silence": Degradation("s", (0.5, 3, 10), 0, 600, certain(surround)),
    "gaps": Degradation("dB", (50, 40, 30), 0, 120, certain(mute_pauses)),
    "dc": Degradation("%", (1, 10, 30), -100, 100, certain(offset)),
}
"""Name to degradation."""
KNOWN: Mapping[str, Degradation] = {**DEGRADATIONS, **CORRUPTIONS}
"""The same with the corruptions of Speech Robust Bench, whose names begin with `srb_`."""
CODECS = ("mulaw", "opus", "vorbis", "mp3")
