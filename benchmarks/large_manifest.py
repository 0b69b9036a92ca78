"""Time and peak memory of `noisewise prepare table` and `noisewise check` on large manifests.

    python benchmarks/large_manifest.py [--utterances 1000 10000 100000] [--output results/speed/large_manifest.json]

The corpus is fabricated: a table of that many rows over 1,000 recordings of 0.1 to 0.2 s, which the rows name through
hard links, so that every row is a file to open and decode. (So `check` finds nearly every row a duplicate, and has as
many findings as rows: the worst case for its report.) Each command runs in a process of its own with one worker;
seconds are of processor time, so that other work on the machine does not count, memory is the largest resident set.
`check_manifest` reads the lhotse manifest that `prepare` wrote, `check_table` the table.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FILES = 1000
ROW = "a/{folder:03d}/{index:06d}.wav\ts{speaker:03d}\ttrain\tGO {words}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--output", type=Path, default=Path("results/speed/large_manifest.json"))
    options = parser.parse_args()
    sizes = {str(count): measure(count) for count in options.utterances}
    result = {
        "command": f"python benchmarks/large_manifest.py --utterances {' '.join(map(str, options.utterances))}",
        "what": "seconds of processor time and peak memory (MiB) of prepare and check, by number of utterances",
        "sizes": sizes,
        "growth": growth(sizes),
        "versions": {name: version(name) for name in ("noisewise", "numpy", "torch", "soundfile", "lhotse")},
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
    }
    options.output.write_text(json.dumps(result, indent=2) + "\n")


def measure(count: int) -> dict[str, Any]:
    """The figures of one size."""
    folder = Path(tempfile.mkdtemp(prefix="noisewise-large-"))
    try:
        fabricate(folder / "corpus", count)
        table, made = folder / "corpus" / "manifest.tsv", folder / "made"
        found = {
            "prepare": run("prepare", "table", str(folder / "corpus"), str(made)),
            "check_table": run("check", str(table), "--workers", "1", "--report", str(folder / "table.json")),
            "check_manifest": run(
                "check", str(made / "cuts_train.jsonl.gz"), "--workers", "1", "--report", str(folder / "cuts.json")
            ),
        }
        for name in ("table", "cuts"):
            with (folder / f"{name}.json").open() as report:
                assert f'"entries": {count},' in report.read(5000), "every row must have been checked"
        print(count, json.dumps(found), flush=True)
        return found
    finally:
        shutil.rmtree(folder)


def fabricate(folder: Path, count: int) -> None:
    """Write `manifest.tsv` and as many names of recordings."""
    rng = np.random.default_rng(0)
    (folder / "originals").mkdir(parents=True)
    originals = [folder / "originals" / f"{index}.wav" for index in range(min(FILES, count))]
    for path in originals:
        samples = (3000 * rng.standard_normal(int(rng.integers(1600, 3200)))).clip(-32_000, 32_000).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16_000, len(samples), "NONE", ""))
            file.writeframes(samples.tobytes())
    with (folder / "manifest.tsv").open("w") as rows:
        rows.write("path\tspeaker\tsplit\ttext\n")
        for index in range(count):
            if index % FILES == 0:
                (folder / f"a/{index // FILES:03d}").mkdir(parents=True)
            row = ROW.format(folder=index // FILES, index=index, speaker=index % 250, words=chr(65 + index % 26))
            rows.write(row)
            os.link(originals[index % FILES], folder / row.partition("\t")[0])


def run(*words: str) -> dict[str, float]:
    """Run a verb; its processor time, time on the clock, and peak memory."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    begun = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "noisewise.cli.main", *words], env=environment, stderr=-3, stdout=-3
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, f"{words} ended with {child.returncode}"
    return {
        "seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "wall_seconds": round(time.monotonic() - begun, 1),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }


def growth(sizes: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Per utterance, from the smallest size to the largest: milliseconds, and bytes of peak memory."""
    small, large = min(sizes, key=int), max(sizes, key=int)
    more = int(large) - int(small)
    return {
        name: {
            "milliseconds": round(1e3 * (sizes[large][name]["seconds"] - sizes[small][name]["seconds"]) / more, 3),
            "bytes": round(2**20 * (sizes[large][name]["peak_mib"] - sizes[small][name]["peak_mib"]) / more),
        }
        for name in sizes[small]
        if more
    }


if __name__ == "__main__":
    main()
