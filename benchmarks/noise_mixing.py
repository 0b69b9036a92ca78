"""How many seconds of noisy speech the data loader makes in a second of one core.

    NOISEWISE_DATA=... python benchmarks/noise_mixing.py [--output results/speed/noise_mixing.json]

Decoding of speech and noise (FLAC), the drawing of noise, mixing, transcripts and padding are all counted; nothing is
decoded before the clock starts. Rates are per second of processor time, so that other work on the machine does not
count; `wall` is the rate by the clock on the wall. The aim is 500.
"""

import argparse
import itertools
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from noisewise.config import parse
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.loader import Loader, build_loader
from noisewise.text.tokenizer import CharacterTokenizer

AIM = 500.0
PERTURBED = {
    "speed": [0.9, 1.0, 1.1],
    "gain_db": [-6, 6],
    "reverb": {"manifest": "$NOISEWISE_DATA/rir#split=train", "probability": 0.3},
}
CASES: dict[str, dict[str, Any]] = {
    "speech only": {"noise": None},
    "noise": {},
    "noise, clean kept": {"keep_clean": True},
    "noise, nothing cached": {"cache": 0},
    "noise, speed, gain, reverberation": PERTURBED,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("results/speed/noise_mixing.json"))
    options = parser.parse_args()
    if "NOISEWISE_DATA" not in os.environ:
        raise SystemExit("NOISEWISE_DATA must name the folder that holds an4/, noise/ and rir/, but is not set")
    torch.set_num_threads(1)
    cases = {name: measure(changes, options.epochs) for name, changes in CASES.items()}
    result = {
        "command": "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/noise_mixing.py",
        "what": "seconds of audio per second of one core, AN4 train in noise/train, batches of 60 s",
        "aim": AIM,
        "reached": cases["noise"]["per_core_second"] >= AIM,
        "cases": cases,
        "versions": {name: version(name) for name in ("noisewise", "numpy", "torch", "soundfile", "soxr", "lhotse")},
        "python": platform.python_version(),
        "processor": platform.machine(),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def measure(changes: dict[str, Any], epochs: int) -> dict[str, float]:
    """The rate over whole epochs, decoding of the first included."""
    loader = build_loader(config(changes), encode=CharacterTokenizer().encode, seed=0)
    batches = epochs * len(loader)
    processor, wall = time.process_time(), time.perf_counter()
    seconds = total_seconds(loader, batches)
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return {
        "seconds_of_audio": round(seconds),
        "per_core_second": round(seconds / processor),
        "wall": round(seconds / wall),
    }


def total_seconds(loader: Loader, batches: int) -> float:
    return sum(batch.seconds for batch in itertools.islice(loader, batches))


def config(changes: dict[str, Any]) -> DataConfig:
    noise = {"manifest": "$NOISEWISE_DATA/noise", "split": "train", "cache_mb": changes.get("cache", 256)}
    changes = {name: value for name, value in changes.items() if name != "cache"}
    return parse(
        DataConfig,
        {
            "manifests": ["$NOISEWISE_DATA/an4#split=train"],
            "noise": noise,
            "batch_seconds": 60,
            "workers": 0,
            **changes,
        },
    )


if __name__ == "__main__":
    main()
