"""Word error rate of long recordings beside that of the same utterances apart, by what lies between and the window.

    python benchmarks/long_recordings.py [--minutes 1 10 60] [--windows 12] [--output FILE]

Utterances of AN4's test set and of librispeech_mini (`$NOISEWISE_DATA`) are joined, again from the first when they are
too few, with pauses of 0.4 s or 4 s between them: exact zeros, a room 50 dB below speech, or noise 15 dB below it.
Words are aligned over a stretch of a minute or more at a time, cut between utterances by the times of the words.
"""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAUSES_SECONDS = (0.4, 4.0)
BETWEEN_DB = {"zeros": None, "room": -50.0, "noise": -15.0}
STRETCH_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tests/fixtures/an4_ctc")
    parser.add_argument("--corpora", nargs="+", default=["an4#split=test", "librispeech_mini"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 10, 60])
    parser.add_argument("--windows", nargs="+", type=float, default=[12.0], help="Seconds.")
    parser.add_argument("--output", type=Path, default=Path("results/robustness/long_recordings.json"))
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    result = {"command": shlex.join(["python", "benchmarks/long_recordings.py", *sys.argv[1:]]), "rows": rows}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for row in (row for corpus in options.corpora for row in measure(corpus, options)):
        rows.append(row)
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(corpus: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of one corpus, each as soon as it is measured."""
    import numpy as np
    import torch

    from noisewise.evaluation.test_set import Speech
    from noisewise.inference.recogniser import Recogniser
    from noisewise.scoring.words import score

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    recogniser = Recogniser.load(options.model)
    speech = Speech.read(str(Path(os.environ["NOISEWISE_DATA"]) / corpus))
    waveforms = [speech.waveform(one.id) for one in speech.utterances]
    texts = [one.text for one in speech.utterances]
    hypotheses = recogniser.recognise(waveforms)
    for minutes in options.minutes:
        for kind, pause in ((kind, pause) for kind in BETWEEN_DB for pause in PAUSES_SECONDS):
            chosen = fitting([len(one) / 16_000 + pause for one in waveforms], 60 * minutes)
            recording, starts = joined([waveforms[at] for at in chosen], kind, pause, np.random.default_rng(0))
            apart = score([texts[at] for at in chosen], [hypotheses[at] for at in chosen]).wer
            for window in options.windows:
                began = time.perf_counter()
                (found,) = recogniser.transcribe(recording, window_seconds=window)
                spoken, together = stretches([texts[at] for at in chosen], starts, found.words)
                row = {
                    "corpus": corpus,
                    "minutes": round(len(recording) / 960_000, 2),
                    "between": kind,
                    "pause_seconds": pause,
                    "window_seconds": window,
                    "wer_apart": round(apart, 4),
                    "wer_together": round(score(spoken, together).wer, 4),
                    "seconds": round(time.perf_counter() - began, 1),
                }
                print(json.dumps(row), flush=True)
                yield row


def fitting(seconds: list[float], total: float) -> list[int]:
    """Utterances in their order, again and again, until they last `total` seconds; at least one."""
    chosen: list[int] = []
    while total > 0:
        chosen.append(len(chosen) % len(seconds))
        total -= seconds[chosen[-1]]
    return chosen


def joined(waveforms: list[Any], kind: str, pause: float, random: Any) -> tuple[Any, list[float]]:
    """One recording with a pause after each utterance, and where each utterance begins, in seconds."""
    import numpy as np

    parts: list[Any] = []
    starts, samples = [], 0
    for one in waveforms:
        starts.append(samples / 16_000)
        level = BETWEEN_DB[kind]
        size = round(16_000 * pause)
        between = np.zeros(size, np.float32)
        if level is not None:
            scale = np.sqrt(np.mean(np.square(one))) * 10 ** (level / 20)
            between = (scale * random.standard_normal(size)).astype(np.float32)
        parts += [one, between]
        samples += len(one) + size
    return np.concatenate(parts), starts


def stretches(texts: list[str], starts: list[float], words: list[Any]) -> tuple[list[str], list[str]]:
    """References and what was found in stretches of whole utterances, so that an alignment stays short."""
    cuts = [0]
    for at, start in enumerate(starts):
        if start - starts[cuts[-1]] >= STRETCH_SECONDS:
            cuts.append(at)
    spoken, found = [], []
    for first, last in zip(cuts, [*cuts[1:], len(texts)], strict=True):
        begin = starts[first] if first else 0.0
        end = starts[last] if last < len(starts) else float("inf")
        spoken.append(" ".join(texts[first:last]))
        found.append(" ".join(word.text for word in words if begin <= (word.start + word.end) / 2 < end))
    return spoken, found


if __name__ == "__main__":
    main()
