"""Words that a recogniser makes of noise alone, and what leaving out the doubtful ones costs where there is speech.

    python benchmarks/no_speech.py [--model MODEL] [--minutes 2] [--utterances 24] [--output FILE]

Hallucinated words per minute on noise without speech (10 s clips, types without babble, of the training and the test
part of `$NOISEWISE_DATA/noise`), and WER of AN4 by signal-to-noise ratio (the eight speakers held back from the AN4
model's training in training noises; AN4 test in test noises), at each least confidence. The threshold is to be chosen
on the development figures alone.
"""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from confidence import HELD_BACK, mixed, rows

LEAST = (0.0, 0.3, 0.4, 0.46, 0.5, 0.55, 0.6, 0.7)
SNR_DB = (0.0, 5.0, 10.0, 20.0)
NOISES = ("traffic", "metro", "car", "airport_station", "ac_vacuum", "cafe")
CLIP_SECONDS = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tests/fixtures/an4_ctc")
    parser.add_argument("--minutes", type=float, default=2.0, help="Noise of each part.")
    parser.add_argument("--utterances", type=int, default=24, help="Of each part, evenly spaced.")
    parser.add_argument("--output", type=Path, default=Path("results/robustness/no_speech.json"))
    options = parser.parse_args()
    import torch

    from noisewise.inference.recogniser import Recogniser

    torch.set_num_threads(1)
    data = Path(os.environ["NOISEWISE_DATA"])
    recogniser = Recogniser.load(options.model)
    chosen, recogniser.least_confidence = recogniser.least_confidence, 0.0
    result: dict[str, Any] = {
        "command": shlex.join(["python", "benchmarks/no_speech.py", *sys.argv[1:]]),
        "least_confidence": chosen,
    }
    for name, split in (("development", "train"), ("test", "test")):
        speech = [
            row
            for row in rows(data / "an4")
            if row["split"] == split and (split == "test" or row["speaker"] in HELD_BACK)
        ]
        speech = [speech[index * len(speech) // options.utterances] for index in range(options.utterances)]
        noises = noises_of(data, split)
        result[name] = {
            "noise_minutes": options.minutes,
            "words_per_minute": hallucinated(recogniser, noises, options.minutes),
            "wer": error_rates(recogniser, speech, noises),
        }
        print(json.dumps({name: result[name]}), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def noises_of(data: Path, split: str) -> dict[str, NDArray[np.float32]]:
    """A recording of each type, from one part of the corpus of noise."""
    from noisewise.audio import waveform

    chosen = {row["label"]: row for row in rows(data / "noise") if row["split"] == split and row["label"] in NOISES}
    return {label: waveform.load(row["path"]) for label, row in sorted(chosen.items())}


def hallucinated(recogniser: Any, noises: dict[str, NDArray[np.float32]], minutes: float) -> dict[str, float]:
    """Words per minute of noise alone, by least confidence."""
    from noisewise.inference.transcript import without_doubtful

    size, each = round(16_000 * CLIP_SECONDS), list(noises.values())
    clips = [
        each[number % len(each)].take(np.arange(size) + number // len(each) * size, mode="wrap")
        for number in range(round(60 * minutes / CLIP_SECONDS))
    ]
    found = recogniser.transcribe(clips)
    return {
        f"{least:g}": round(sum(len(without_doubtful(one.words, least)[0]) for one in found) / minutes, 2)
        for least in LEAST
    }


def error_rates(
    recogniser: Any, speech: list[dict[str, str]], noises: dict[str, NDArray[np.float32]]
) -> dict[str, dict[str, float]]:
    """WER by signal-to-noise ratio and least confidence."""
    from noisewise.audio import waveform
    from noisewise.inference.transcript import without_doubtful
    from noisewise.scoring.words import score

    clean = [waveform.load(row["path"]) for row in speech]
    references, rates = [row["text"] for row in speech], {}
    for name, waves in (("clean", clean), *((f"{db:g}", list(mixed(clean, noises, db))) for db in SNR_DB)):
        found = recogniser.transcribe(waves)
        rates[name] = {
            f"{least:g}": round(
                score(references, [_text(without_doubtful(one.words, least)[0]) for one in found]).wer, 4
            )
            for least in LEAST
        }
    return rates


def _text(words: list[Any]) -> str:
    return " ".join(word.text for word in words)


if __name__ == "__main__":
    main()
