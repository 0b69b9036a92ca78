"""Our wav2vec 2.0 encoder beside transformers' `Wav2Vec2Model`: base size, the same random weights, one process.

    python benchmarks/wav2vec2_speed.py [--threads 2] [--rounds 7] [--output results/speed/wav2vec2.json]

Every round runs each side once, in turning order, so that other work on the machine falls on all alike. A ratio
is the median time of transformers through ours: above 1 ours is faster. `wall` is the clock on the wall,
`processor` the time spent by all threads of this process. A batch goes to transformers padded with zeros, with
an attention mask and without; the ratio of a batch is to the faster of the two. `one by one` hands transformers
one utterance after the other, which is the only way for it to give what ours gives. The aim is a ratio of 1.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from noisewise.checkpoints.foreign import huggingface
from noisewise.models.wav2vec2.encoder import Wav2Vec2Encoder, base

AIM = 1.0
CASES = {
    "batch of 1, 3 s": [3.0],
    "batch of 1, 10 s": [10.0],
    "batch of 8, 3 to 15 s": [3.0, 4.5, 6.2, 7.9, 9.6, 11.3, 13.0, 15.0],
    "batch of 8, 4 s each": [4.0] * 8,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("results/speed/wav2vec2.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    theirs: Any = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config())
    theirs.eval()
    ours = Wav2Vec2Encoder(base()).eval()
    huggingface.load(ours, theirs.state_dict())
    with torch.inference_mode():
        cases = {}
        for name, seconds in CASES.items():
            cases[name] = measure(ours, theirs, seconds, options.rounds)
            print(f"{name}: {cases[name]['ratio']}", file=sys.stderr)
    lowest = min(case["ratio"]["processor" if options.threads == 1 else "wall"] for case in cases.values())
    result = {
        "command": f"python benchmarks/wav2vec2_speed.py --threads {options.threads} --rounds {options.rounds}",
        "what": "time of transformers' Wav2Vec2Model through time of ours, base size, same weights, float32",
        "aim": AIM,
        "reached": lowest >= AIM,
        "lowest_ratio": lowest,
        "cases": cases,
        "versions": {name: version(name) for name in ("noisewise", "torch", "transformers")},
        "python": platform.python_version(),
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores",
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def measure(ours: Wav2Vec2Encoder, theirs: Any, seconds: list[float], rounds: int) -> dict[str, Any]:
    """Times, ratios and the largest difference of one batch."""
    lengths = torch.tensor([round(16_000 * each) for each in seconds])
    valid = torch.arange(int(lengths.max())) < lengths[:, None]
    waveform = torch.randn(valid.shape) * 0.1 * valid
    utterances = [row[:samples][None] for row, samples in zip(waveform, lengths.tolist(), strict=True)]
    sides: dict[str, Callable[[], Any]] = {"ours": lambda: ours(waveform, lengths)}
    sides["transformers"] = lambda: theirs(waveform)
    if not valid.all():
        sides["transformers, masked"] = lambda: theirs(waveform, attention_mask=valid.long())
    if len(utterances) > 1:
        sides["transformers, one by one"] = lambda: [theirs(each) for each in utterances]
    times = timed(sides, rounds)
    return {
        "seconds": seconds,
        "rounds": rounds,
        "largest_difference": largest_difference(ours(waveform, lengths).features, theirs, utterances),
        "ratio": {clock: ratio(found) for clock, found in times.items()},
        "real_time_factor": round(times["wall"]["ours"] / sum(seconds), 4),
        "median_seconds": {
            clock: {side: round(spent, 4) for side, spent in found.items()} for clock, found in times.items()
        },
    }


def timed(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of each side by each clock, after one round that does not count."""
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    spent: dict[str, dict[str, list[float]]] = {clock: {side: [] for side in sides} for clock in clocks}
    names = list(sides)
    for turn in range(rounds + 1):
        for side in names[turn % len(names) :] + names[: turn % len(names)]:
            starts = {clock: now() for clock, now in clocks.items()}
            sides[side]()
            for clock, now in clocks.items():
                spent[clock][side].append(now() - starts[clock])
    return {
        clock: {side: statistics.median(seconds[1:]) for side, seconds in found.items()}
        for clock, found in spent.items()
    }


def ratio(median: dict[str, float]) -> float:
    padded = [median[side] for side in ("transformers", "transformers, masked") if side in median]
    return round(min(padded) / median["ours"], 3)


def largest_difference(features: Tensor, theirs: Any, utterances: list[Tensor]) -> float:
    """From transformers' features of every utterance by itself."""
    alone = [theirs(utterance).last_hidden_state[0] for utterance in utterances]
    return max(float((row[: len(each)] - each).abs().max()) for row, each in zip(features, alone, strict=True))


if __name__ == "__main__":
    main()
