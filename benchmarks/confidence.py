"""Whether the confidence of a word means what it says, before and after calibration on noisy development data.

    python benchmarks/confidence.py [--model MODEL] [--output results/alignment/confidence.json]

Fitted on the eight AN4 speakers that the AN4 model's training held back, mixed with training noises; measured on AN4
test, mixed with test noises. Each utterance is transcribed clean and at each SNR with one type of noise,
in turn. A word is right if the alignment of the word error rate matches it; words that are missing have no confidence.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from transcription import machine, model_of

HELD_BACK = {"fclc", "fjam", "fnsv", "mblw", "mdxn", "mgah", "mjhp", "mtje"}
NOISES = ("traffic", "metro", "car", "babble", "airport_station", "ac_vacuum", "cafe")
SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
Samples = NDArray[np.float32]
Rows = list[dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tests/fixtures/an4_ctc")
    parser.add_argument("--output", type=Path, default=Path("results/alignment/confidence.json"))
    options = parser.parse_args()
    import torch

    from noisewise.inference.recogniser import Recogniser
    from noisewise.scoring.calibration import fit_isotonic, fit_logistic

    torch.set_num_threads(1)
    data = Path(os.environ["NOISEWISE_DATA"])
    speech = rows(data / "an4")
    recogniser = Recogniser.load(options.model)
    held_back = [row for row in speech if row["split"] == "train" and row["speaker"] in HELD_BACK]
    taught = transcribed(recogniser, data, held_back, "train")
    tested = transcribed(recogniser, data, [row for row in speech if row["split"] == "test"], "test")
    pooled = [pair for pairs in taught.values() for pair in pairs]
    sure, right = [confidence for confidence, _ in pooled], [correct for _, correct in pooled]
    logistic, temperature = fit_logistic(sure, right), fit_logistic(sure, right, temperature=True)
    ways: dict[str, Callable[[Sequence[float]], Any]] = {
        "as_given": lambda confidences: np.asarray(confidences),
        "temperature": temperature,
        "logistic": logistic,
        "isotonic": fit_isotonic(sure, right),
    }
    everything = [pair for pairs in tested.values() for pair in pairs]
    noisy = [pair for condition, pairs in tested.items() if condition != "clean" for pair in pairs]
    result = {
        "command": "python benchmarks/confidence.py",
        "model": model_of(options.model),
        "machine": {**machine(), "threads": 1},
        "fitted_on_words": len(pooled),
        "logistic": {"slope": round(logistic.slope, 4), "offset": round(logistic.offset, 4)},
        "temperature": round(1 / temperature.slope, 4),
        "development": {name: measured(pooled, way) for name, way in ways.items()},
        "test": {name: measured(everything, way) for name, way in ways.items()},
        "test_clean": {name: measured(tested["clean"], way) for name, way in ways.items()},
        "test_noisy": {name: measured(noisy, way) for name, way in ways.items()},
        "test_0_db": {name: measured(tested["0"], way) for name, way in ways.items()},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    text = re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda row: f"[{' '.join(row[1].split())}]", json.dumps(result, indent=1))
    options.output.write_text(text + "\n", encoding="utf-8")
    for condition in ("development", "test", "test_clean", "test_noisy", "test_0_db"):
        shown = {name: result[condition][name]["expected_calibration_error"] for name in ways}
        print(condition, shown)


def rows(folder: Path) -> Rows:
    """The manifest of a folder, paths made whole."""
    header, *lines = (folder / "manifest.tsv").read_text(encoding="utf-8").splitlines()
    found = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    return [{**row, "path": str(folder / row["path"])} for row in found]


def transcribed(recogniser: Any, data: Path, speech: Rows, split: str) -> dict[str, list[tuple[float, bool]]]:
    """Condition to the confidence of each word and whether it is right."""
    from noisewise.audio import waveform
    from noisewise.scoring.calibration import correct_words

    noises = {row["label"]: row for row in rows(data / "noise") if row["split"] == split and row["label"] in NOISES}
    loaded = {label: waveform.load(row["path"]) for label, row in sorted(noises.items())}
    clean = [waveform.load(row["path"]) for row in speech]
    found: dict[str, list[tuple[float, bool]]] = {}
    for condition in ("clean", *(f"{snr_db:g}" for snr_db in SNR_DB)):
        waves = clean if condition == "clean" else list(mixed(clean, loaded, float(condition)))
        found[condition] = [
            (word.confidence, correct)
            for row, transcript in zip(speech, recogniser.transcribe(waves), strict=True)
            for word, correct in zip(transcript.words, correct_words(row["text"], transcript.text), strict=True)
        ]
    return found


def mixed(clean: list[Samples], noises: dict[str, Samples], snr_db: float) -> Iterator[Samples]:
    """Utterances with the types of noise in turn, from a place drawn for each."""
    from noisewise.audio.mix import mix

    random = np.random.default_rng(round(snr_db))
    labels = sorted(noises)
    for number, samples in enumerate(clean):
        noise = noises[labels[number % len(labels)]]
        where = int(random.integers(len(noise))) + np.arange(len(samples))
        yield mix(samples, noise.take(where, mode="wrap"), snr_db).noisy


def measured(pairs: list[tuple[float, bool]], way: Callable[[Sequence[float]], Any]) -> dict[str, Any]:
    """Calibration of words under one map of confidences."""
    from noisewise.scoring.calibration import normalised_cross_entropy, reliability

    sure, right = way([confidence for confidence, _ in pairs]).tolist(), [correct for _, correct in pairs]
    diagram = reliability(sure, right)
    return {
        "words": len(pairs),
        "correct": round(sum(right) / len(right), 4),
        "mean_confidence": round(sum(sure) / len(sure), 4),
        "expected_calibration_error": round(diagram.error, 4),
        "normalised_cross_entropy": round(normalised_cross_entropy(sure, right), 4),
        "bins": [
            [round(confidence, 4), round(accuracy, 4), count]
            for confidence, accuracy, count in zip(diagram.confidence, diagram.accuracy, diagram.words, strict=True)
        ],
    }


if __name__ == "__main__":
    main()
