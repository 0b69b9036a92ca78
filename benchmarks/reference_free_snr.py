"""The error of signal-to-noise ratios that are estimated without the clean speech, against those of the mixtures.

    python benchmarks/reference_free_snr.py [--limit 40] [--output FILE]

Mixtures of AN4 test and of read English (`librispeech_mini`) with the noise types of `noise#split=test`, -5 to 20 dB,
as a grid of `noisewise evaluate` makes them. Error is estimate less truth, in dB; WADA reads nothing below -5 dB.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

SPEECH = ("$NOISEWISE_DATA/an4#split=test", "$NOISEWISE_DATA/librispeech_mini")
NOISE = "$NOISEWISE_DATA/noise#split=test"
SNRS_DB = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=40, help="Utterances of each corpus, evenly spaced.")
    parser.add_argument("--output", type=Path, default=Path("results/robustness/reference_free_snr.json"))
    options = parser.parse_args()
    result: dict[str, Any] = {"command": shlex.join(["python", "benchmarks/reference_free_snr.py", *sys.argv[1:]])}
    for manifest in SPEECH:
        name = manifest.partition("/")[2]
        result[name] = errors(manifest, options.limit)
        for method, found in result[name]["errors"].items():
            all_types = found["all"]
            print(name, method, *(f"{snr:g} dB: {all_types[f'{snr:g}']['mean']:+.1f}" for snr in SNRS_DB), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def errors(manifest: str, limit: int) -> dict[str, Any]:
    """Method to noise type, or `all`, to SNR to the mean, the standard deviation and the mean size of the errors."""
    from noisewise.audio.snr import SnrMeter
    from noisewise.evaluation.config import GridConfig
    from noisewise.evaluation.grid import Grid
    from noisewise.evaluation.test_set import Speech

    speech = Speech.read(manifest, limit)
    grid = Grid.build(GridConfig(manifest=manifest, noise=NOISE, snrs_db=list(SNRS_DB)), speech)
    found: dict[str, dict[str, dict[str, list[float]]]] = {"wada": {}, "energy": {}}
    for condition in grid.conditions[1:]:
        snr = condition.value or 0.0
        for one in speech.utterances:
            meter = SnrMeter(16_000)
            meter.add(grid.mixture(one, condition))
            for method, value in (("wada", meter.wada_db()), ("energy", meter.energy_db())):
                for kind in (condition.name, "all"):
                    if value is not None:
                        found[method].setdefault(kind, {}).setdefault(f"{snr:g}", []).append(value - snr)
    clean = [one.wada_snr_db for one in speech.utterances if one.wada_snr_db is not None]
    return {
        "utterances": len(speech.utterances),
        "clean_wada_db": {"median": round(float(np.median(clean)), 1)},
        "errors": {
            method: {kind: {snr: summary(values) for snr, values in by_snr.items()} for kind, by_snr in kinds.items()}
            for method, kinds in found.items()
        },
    }


def summary(values: list[float]) -> dict[str, float]:
    numbers = {"mean": np.mean(values), "deviation": np.std(values), "size": np.mean(np.abs(values))}
    return {name: round(float(value), 2) for name, value in numbers.items()}


if __name__ == "__main__":
    main()
