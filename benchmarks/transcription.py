"""Speed and memory of transcription on two cores: many short recordings, and one hour in one file.

    python benchmarks/transcription.py [--model box] [--output results/speed/transcription.json]

The audio is the bundled recordings, repeated with new noise; each measurement runs in a process of its own,
so that its peak memory is its own. Reading the file, features, model, decoding and times of words are all
counted; loading the model is not (it is given apart).
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

THREADS = 2
SHORT_RECORDINGS = 200
HOUR = 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="box")
    parser.add_argument("--output", type=Path, default=Path("results/speed/transcription.json"))
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.model, options.measure)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_audio(folder)
        result = {
            "command": f"python benchmarks/transcription.py --model {options.model}",
            "model": model_of(options.model),
            "machine": machine(),
            "short_recordings": alone(options.model, folder / "short"),
            "one_hour": alone(options.model, folder / "hour"),
        }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def make_audio(folder: Path) -> None:
    """Two folders: `short` with many recordings, `hour` with one of an hour."""
    import numpy as np

    import noisewise
    from noisewise.audio import waveform

    bundled = Path(noisewise.__file__).parent / "assets" / "recordings"
    speech = [waveform.load(path) for path in sorted(bundled.glob("*.flac"))]
    random = np.random.default_rng(0)

    def again(number: int) -> Any:
        clean = speech[number % len(speech)]
        return (clean * 0.8 + 0.005 * random.standard_normal(len(clean))).astype(np.float32)

    (folder / "short").mkdir()
    for number in range(SHORT_RECORDINGS):
        waveform.save(folder / "short" / f"{number:03}.flac", again(number))
    (folder / "hour").mkdir()
    parts: list[Any] = []
    samples = 0
    while samples < HOUR * waveform.SAMPLE_RATE:
        parts.append(again(len(parts)))
        samples += len(parts[-1])
    waveform.save(folder / "hour" / "hour.flac", np.concatenate(parts)[: HOUR * waveform.SAMPLE_RATE])


def alone(model: str, folder: Path) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--model", model, "--measure", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def measure(model: str, folder: Path) -> dict[str, Any]:
    """Transcribe all files of a folder once, after a warm-up of one short recording."""
    import numpy as np
    import torch

    from noisewise.inference.recogniser import Recogniser

    torch.set_num_threads(THREADS)
    begin = time.perf_counter()
    recogniser = Recogniser.load(model)
    loaded = time.perf_counter() - begin
    recogniser.transcribe(np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * 0.1)
    files = sorted(folder.iterdir())
    begin = time.perf_counter()
    transcripts = recogniser.transcribe(files)
    seconds = time.perf_counter() - begin
    failed = [each.error for each in transcripts if each.error is not None]
    if failed:
        sys.exit(failed[0])
    audio = sum(each.duration for each in transcripts)
    return {
        "recordings": len(files),
        "audio_seconds": round(audio, 1),
        "seconds": round(seconds, 2),
        "real_time_factor": round(seconds / audio, 5),
        "load_seconds": round(loaded, 2),
        "peak_memory_gb": round(peak_memory() / 1e9, 3),
    }


def peak_memory() -> float:
    """Largest resident memory of this process in bytes.

    Linux's own counter is scored first, for `ru_maxrss` begins with the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="utf-8").splitlines()
        return 1024 * next(float(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def model_of(name: str) -> dict[str, Any]:
    """Name, parameters and hash of the weights."""
    from noisewise.checkpoints import model_folder

    parameters = sum(each.numel() for each in model_folder.load(name).model.parameters())
    return {"name": Path(name).name, "parameters": parameters, "sha256": model_folder.weights_hash(name)}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import torch

    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "threads": THREADS,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
