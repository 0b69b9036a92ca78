"""Speed of a Whisper of noisewise beside faster-whisper: the same utterances, in alternation, after a warm-up.

    python benchmarks/whisper.py MODEL_FOLDER CTRANSLATE2_FOLDER [--output results/speed/whisper.json]

Each program transcribes waveforms that were read before: noisewise greedy, a list at once, and faster-whisper in int8
with beams of 1 and 5, one after another, as it is called. Wall time and CPU time of the process are both given: where
others use the machine, the CPU time is that which can be compared. Loading is not counted. The extra `whisper` has
faster-whisper.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CORPORA = {"librispeech_mini": 20, "an4#split=test": 40}
"""Corpora of `$NOISEWISE_DATA`, and how many utterances of each, evenly spaced."""

System = Callable[[list[Any]], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="Folder of a Whisper of noisewise.")
    parser.add_argument("other", help="Folder of a Whisper in CTranslate2's layout.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("results/speed/whisper.json"))
    options = parser.parse_args()
    systems = {"noisewise": noisewise_of(options.model, options.threads), **theirs(options.other, options.threads)}
    result: dict[str, Any] = {"command": "python benchmarks/whisper.py MODEL_FOLDER CTRANSLATE2_FOLDER"}
    result |= {"models": about(options.model, options.other), "machine": machine(options.threads), "corpora": {}}
    for corpus, count in CORPORA.items():
        waveforms = chosen(corpus, count)
        seconds = sum(map(len, waveforms)) / 16_000
        for run in systems.values():
            run(waveforms[:2])
        spent: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
        for _ in range(options.rounds):
            for name, run in systems.items():
                spent[name].append(timed(run, waveforms))
        rows = {name: summary(times, seconds) for name, times in spent.items()}
        result["corpora"][corpus] = {"utterances": len(waveforms), "audio_seconds": round(seconds, 1), "systems": rows}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def noisewise_of(folder: str, threads: int) -> System:
    """A list of waveforms at once."""
    import torch

    import noisewise

    torch.set_num_threads(threads)
    recogniser = noisewise.load(folder)
    return lambda waveforms: [each.text for each in recogniser.transcribe(waveforms)]


def theirs(folder: str, threads: int) -> dict[str, System]:
    """Faster-whisper, without fallback and without the text before, by the size of its beam."""
    from faster_whisper import WhisperModel

    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)
    asked: dict[str, Any] = {"language": "en", "temperature": 0.0, "condition_on_previous_text": False}
    asked["without_timestamps"] = True

    def with_beam(size: int) -> System:
        return lambda waveforms: [
            "".join(part.text for part in model.transcribe(each, beam_size=size, **asked)[0]) for each in waveforms
        ]

    return {f"faster-whisper int8, beam {size}": with_beam(size) for size in (1, 5)}


def chosen(corpus: str, count: int) -> list[Any]:
    """Waveforms of a corpus, evenly spaced."""
    from noisewise.evaluation.test_set import Speech

    speech = Speech.read(str(Path(os.environ["NOISEWISE_DATA"]) / corpus))
    places = [len(speech.utterances) * number // count for number in range(count)]
    return [speech.waveform(speech.utterances[place].id) for place in places]


def timed(run: System, waveforms: list[Any]) -> dict[str, float]:
    """Wall and CPU seconds of one round."""
    wall, cpu = time.perf_counter(), time.process_time()
    run(waveforms)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def summary(times: list[dict[str, float]], seconds: float) -> dict[str, float]:
    """Medians over rounds, for each second of audio."""
    return {
        f"{kind}_seconds_per_second": round(statistics.median(each[kind] for each in times) / seconds, 5)
        for kind in ("wall", "cpu")
    }


def about(model: str, other: str) -> dict[str, str]:
    """Hash of our weights, and names."""
    from noisewise.checkpoints import model_folder

    return {"noisewise": model_folder.weights_hash(model), "faster-whisper": Path(other).name}


def machine(threads: int) -> dict[str, Any]:
    """What the numbers were measured on."""
    import torch

    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found = {"cpu": names[0] if names else platform.processor(), "threads": threads, "torch": torch.__version__}
    return {**found, "load": round(os.getloadavg()[0], 1)}


if __name__ == "__main__":
    main()
