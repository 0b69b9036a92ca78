"""How far aligned words are from where they were said, and what an hour costs.

    python benchmarks/alignment.py [--model MODEL] [--output results/alignment/word_times.json]

Reference: recordings of single words are joined with pauses, so that each word's place is known. Within its recording a
word lasts from the first to the last 10 ms whose energy is within 30 dB of the loudest 10 ms. The words are the digits
of the test split of the Free Spoken Digit Dataset, each sequence by one speaker. The pauses, 0.15 to 0.45 s long
besides what the recordings bring along, are filled with faint noise.

A word begins before the spike of its first letter and ends after that of its last. The model's `lead_seconds` and
`trail_seconds` are the signed medians of "letters_of_training_digits", which are other recordings of the same speakers.

The hour is one recording of such digits, and runs in a process of its own, so that its peak memory is its own. Times
are those of the processor, for other programs may run beside it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from transcription import machine, model_of, peak_memory

THREADS = 1
RATE = 16_000
SEQUENCES = 40
WORDS = 8
RANGE_DB = 30.0
HOUR = 3600
Spoken = tuple[str, NDArray[np.float32]]
Place = tuple[str, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tests/fixtures/an4_ctc")
    parser.add_argument("--output", type=Path, default=Path("results/alignment/word_times.json"))
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.model, options.measure)))
        return
    data = Path(os.environ["NOISEWISE_DATA"])
    taught, digits = spoken(data / "fsdd", "train", every=9), spoken(data / "fsdd", "test")
    result: dict[str, Any] = {
        "command": "python benchmarks/alignment.py",
        "model": model_of(options.model),
        "machine": {**machine(), "threads": THREADS},
        "letters_of_training_digits": accuracy(options.model, sequences(taught, SEQUENCES, WORDS), widen=False),
        "letters_of_digits": accuracy(options.model, sequences(digits, SEQUENCES, WORDS), widen=False),
        "digits": accuracy(options.model, sequences(digits, SEQUENCES, WORDS)),
        "digits_in_noise_10_db": accuracy(options.model, sequences(digits, SEQUENCES, WORDS), snr_db=10.0),
    }
    save(result, options.output)
    with tempfile.TemporaryDirectory() as name:
        make_hour(digits, Path(name))
        result["one_hour"] = alone(options.model, Path(name))
    save(result, options.output)


def save(result: dict[str, Any], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def spoken(folder: Path, split: str, every: int = 1) -> dict[str, list[Spoken]]:
    """Speaker to recordings of one word each, or to some of them, evenly spaced."""
    from noisewise.audio import waveform

    header, *lines = (folder / "manifest.tsv").read_text(encoding="utf-8").splitlines()
    names = header.split("\t")
    found: dict[str, list[Spoken]] = defaultdict(list)
    rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines]
    for row in [row for row in rows if row["split"] == split][::every]:
        found[row["speaker"]].append((row["text"], waveform.load(folder / row["path"])))
    return dict(found)


def extent(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Seconds from which to which a recording of one word is loud."""
    hop = RATE // 100
    energy = np.square(samples[: len(samples) // hop * hop].reshape(-1, hop)).mean(axis=1)
    (loud,) = np.nonzero(energy > energy.max() * 10 ** (-RANGE_DB / 10))
    return float(loud[0] / 100), float((loud[-1] + 1) / 100)


def sequence(words: list[Spoken], random: np.random.Generator) -> tuple[NDArray[np.float32], list[Place]]:
    """Words with pauses between, before and after them, and where each one is."""
    parts: list[NDArray[np.float32]] = []
    places: list[Place] = []
    now = 0
    for text, samples in words:
        pause = np.zeros(round(random.uniform(0.15, 0.45) * RATE), np.float32)
        parts += [pause, samples / np.abs(samples).max() * np.float32(0.3)]
        begin, end = extent(samples)
        now += len(pause)
        places.append((text, now / RATE + begin, now / RATE + end))
        now += len(samples)
    whole = np.concatenate([*parts, np.zeros(RATE // 4, np.float32)])
    return (whole + 1e-4 * random.standard_normal(len(whole))).astype(np.float32), places


def sequences(
    speakers: dict[str, list[Spoken]], count: int, words: int
) -> list[tuple[NDArray[np.float32], list[Place]]]:
    """Sequences of words, the speakers in turn."""
    random = np.random.default_rng(0)
    names = sorted(speakers)
    made = []
    for number in range(count):
        pool = speakers[names[number % len(names)]]
        made.append(sequence([pool[at] for at in random.integers(len(pool), size=words)], random))
    return made


def accuracy(
    model: str,
    made: list[tuple[NDArray[np.float32], list[Place]]],
    snr_db: float | None = None,
    widen: bool = True,
) -> dict[str, Any]:
    """Errors of boundaries in milliseconds; positive is late."""
    import torch

    from noisewise.inference.recogniser import Recogniser

    torch.set_num_threads(THREADS)
    random = np.random.default_rng(1)
    waves = [samples if snr_db is None else in_noise(samples, snr_db, random) for samples, _ in made]
    pairs: list[Any] = [
        (wave, " ".join(t for t, _, _ in places)) for wave, (_, places) in zip(waves, made, strict=True)
    ]
    recogniser = Recogniser.load(model)
    if not widen:
        recogniser.lead_seconds = recogniser.trail_seconds = 0.0
    found = dict(recogniser.align(pairs))
    words = [word for position in range(len(pairs)) for word in found[position].words]
    return errors([place for _, places in made for place in places], words)


def in_noise(samples: NDArray[np.float32], snr_db: float, random: np.random.Generator) -> NDArray[np.float32]:
    """With pink noise at a signal-to-noise ratio over the whole sequence."""
    spectrum = np.fft.rfft(random.standard_normal(len(samples)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), len(samples))
    gain = np.sqrt(np.square(samples).mean() / np.square(noise).mean() / 10 ** (snr_db / 10))
    return (samples + gain * noise).astype(np.float32)


def errors(places: list[Place], words: list[Any]) -> dict[str, Any]:
    """Median, 90 % and signed medians of what lies between reference and alignment."""
    assert [text for text, _, _ in places] == [word.text for word in words]
    starts = np.array([1000 * (word.start - begin) for (_, begin, _), word in zip(places, words, strict=True)])
    ends = np.array([1000 * (word.end - end) for (_, _, end), word in zip(places, words, strict=True)])
    both = np.abs(np.concatenate([starts, ends]))
    return {
        "words": len(words),
        "median_ms": round(float(np.median(both)), 1),
        "p90_ms": round(float(np.percentile(both, 90)), 1),
        "start_median_ms": round(float(np.median(np.abs(starts))), 1),
        "end_median_ms": round(float(np.median(np.abs(ends))), 1),
        "start_signed_median_ms": round(float(np.median(starts)), 1),
        "end_signed_median_ms": round(float(np.median(ends)), 1),
    }


def make_hour(speakers: dict[str, list[Spoken]], folder: Path) -> None:
    """One recording of an hour, its text, and where its words are."""
    from noisewise.audio import waveform

    random = np.random.default_rng(2)
    pool = [word for name in sorted(speakers) for word in speakers[name]]
    seconds = np.mean([len(samples) / RATE + 0.3 for _, samples in pool])
    words = [pool[at] for at in random.integers(len(pool), size=int(HOUR / seconds))]
    samples, places = sequence(words, random)
    waveform.save(folder / "hour.wav", samples)
    (folder / "places.json").write_text(json.dumps(places))


def alone(model: str, folder: Path) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--model", model, "--measure", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def measure(model: str, folder: Path) -> dict[str, Any]:
    """Align the hour."""
    import torch

    from noisewise.decoding.alignment.align import align, widened
    from noisewise.inference.recogniser import Recogniser

    torch.set_num_threads(THREADS)
    recogniser = Recogniser.load(model)
    places = [(text, begin, end) for text, begin, end in json.loads((folder / "places.json").read_text())]
    begin = time.process_time()
    ((_, posteriors),) = recogniser.posteriors([folder / "hour.wav"])
    modelled = time.process_time()
    memory = peak_memory()
    frame_seconds = recogniser.model.hop / RATE
    found = align(posteriors.log_probs, " ".join(text for text, _, _ in places), recogniser.tokenizer, frame_seconds)
    words = widened(found.words, recogniser.lead_seconds, recogniser.trail_seconds, posteriors.seconds)
    aligned = time.process_time()
    return {
        "audio_seconds": round(posteriors.seconds, 1),
        "model_cpu_seconds": round(modelled - begin, 2),
        "alignment_cpu_seconds": round(aligned - modelled, 2),
        "peak_memory_gb": round(peak_memory() / 1e9, 3),
        "of_which_before_the_alignment_gb": round(memory / 1e9, 3),
        **errors(places, words),
    }


if __name__ == "__main__":
    main()
