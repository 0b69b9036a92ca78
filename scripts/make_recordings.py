"""Make the recordings that come with the package: speech from espeak-ng plus noise from NumPy.

    python scripts/make_recordings.py        # needs espeak-ng on the PATH

Nothing is recorded or taken from elsewhere, so the recordings carry the licence of the project. The same
versions of espeak-ng and NumPy give the same files. Legend: T samples.
"""

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from noisewise.audio.mix import mix
from noisewise.audio.waveform import SAMPLE_RATE, resample, save

FOLDER = Path(__file__).parent.parent / "src" / "noisewise" / "assets" / "recordings"
RECORDINGS = [
    ("enter_six_two_four", "ENTER SIX TWO FOUR", "enter six two four", "en-us", 130, "hum", 10),
    ("spelled_name", "R O B E R T", "r. o. b. e. r. t.", "en-us+m3", 120, "pink", 15),
    (
        "date",
        "OCTOBER TWENTY SEVENTH NINETEEN SIXTY SIX",
        "october twenty seventh, nineteen sixty six",
        "en-gb",
        130,
        "babble",
        10,
    ),
    (
        "telephone_number",
        "FOUR ONE TWO SEVEN THREE EIGHT NINE",
        "four one two seven three eight nine",
        "en-us+f2",
        140,
        "car",
        5,
    ),
]
"""File, reference, what espeak-ng is told to say, voice, words per minute, noise, SNR in dB."""
PAUSE_SECONDS = 0.3
PEAK = 0.7

Samples = NDArray[np.float32]


def speak(text: str, voice: str, words_per_minute: int) -> Samples:
    """Speech at 16 kHz with a short pause before and after. (T,)"""
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "--stdout", text]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    speech, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    return np.concatenate([pause, resample(speech, rate, SAMPLE_RATE), pause])


def coloured(samples: int, slope: float, random: np.random.Generator) -> Samples:
    """Gaussian noise whose power falls with frequency to the power of `slope`. (T,)"""
    spectrum = np.fft.rfft(random.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20.0)
    return np.asarray(np.fft.irfft(spectrum * frequency ** (-slope / 2), samples), dtype=np.float32)


def hum(samples: int, random: np.random.Generator) -> Samples:
    """Mains hum of 50 Hz with its harmonics, and a little pink noise. (T,)"""
    time = np.arange(samples) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * 50 * k * time + random.uniform(0, 2 * np.pi)) / k for k in (1, 2, 3, 4, 6, 8, 12))
    return unit(np.asarray(tones)) + np.float32(0.3) * unit(coloured(samples, 1.0, random))


def babble(samples: int, random: np.random.Generator) -> Samples:
    """Eight synthetic voices at once, each begun somewhere else. (T,)"""
    sentence = "there was a long table in the middle of the room and everybody talked about the weather"
    voices = ("en-us", "en-gb", "en-gb-scotland", "en-us+f3", "en-gb+m5", "en-us+m7", "en-gb+f1", "en-029")
    speech = [speak(sentence, voice, 150 + 5 * index) for index, voice in enumerate(voices)]
    rolled = [np.roll(np.resize(unit(each), samples), random.integers(samples)) for each in speech]
    return np.asarray(np.sum(rolled, axis=0), dtype=np.float32)


def unit(signal: NDArray[np.floating]) -> Samples:
    """Scaled to a root mean square of 1. (T,)"""
    return np.asarray(signal / np.sqrt(np.mean(np.square(signal))), dtype=np.float32)


def make_noise(kind: str, samples: int, random: np.random.Generator) -> Samples:
    """Noise of a kind. (T,)"""
    match kind:
        case "hum":
            return hum(samples, random)
        case "pink":
            return coloured(samples, 1.0, random)
        case "car":
            return coloured(samples, 2.0, random)
        case _:
            return babble(samples, random)


def main() -> None:
    """Write the recordings and `recordings.json`, which says what is in them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    entries = []
    for seed, (name, text, spoken, voice, words_per_minute, kind, snr_db) in enumerate(RECORDINGS):
        speech = speak(spoken, voice, words_per_minute)
        noisy = mix(speech, make_noise(kind, len(speech), np.random.default_rng(seed)), snr_db).noisy
        save(FOLDER / f"{name}.flac", noisy * (PEAK / np.abs(noisy).max()))
        entries.append({"file": f"{name}.flac", "text": text, "voice": voice, "noise": kind, "snr_db": snr_db})
    (FOLDER / "recordings.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
