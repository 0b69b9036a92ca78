"""Write the results section of README.md from the files in `results/`.

    python scripts/write_results.py

Every number between the markers comes from a file that a command wrote; a test fails when the README is stale.
"""

import json
from pathlib import Path
from typing import Any

from noisewise.evaluation import table
from noisewise.evaluation.result import GridResult

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
GRID = "noisewise evaluate 'AN4#split=test' --noise 'NOISE#split=test' --snr 0 5 10 15 20 --model"


def main() -> None:
    """Bring README.md up to date."""
    path = ROOT / "README.md"
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")


def updated(readme: str) -> str:
    """The text with its results section replaced."""
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{section()}{END}{after}"


def section() -> str:
    """What stands between the markers."""
    box, outsider = (GridResult.load(ROOT / "results" / f"{name}_an4.json") for name in ("box", "pocketsphinx"))
    return "\n".join(
        [
            "AN4 test (130 utterances, 10 speakers) mixed with 7 types of noise that training never heard, greedy",
            "decoding, no language model. Corpus WER in percent, 95 % bootstrap intervals; both recognisers hear the same",
            "mixtures.",
            "",
            table.markdown([box, outsider]),
            "The model in the box, cell by cell:",
            "",
            table.markdown([box]),
            "| measured | value | file, command |",
            "| --- | --- | --- |",
            *(f"| {what} | {value} | {source} |" for what, value, source in speeds()),
            "",
        ]
    )


def speeds() -> list[tuple[str, str, str]]:
    """Rows of the table of speeds: what, value, where it comes from."""
    mixing, transcription, encoder = (_read(name) for name in ("noise_mixing", "transcription", "wav2vec2_speed"))
    rows = [
        (
            "noise mixing in the loader",
            f"{mixing['cases']['noise']['per_core_second']:,} s of audio/s/core",
            "noise_mixing",
        )
    ]
    rows += [(what, value, "transcription") for what, value in _transcription(transcription)]
    rows += [(what, value, "wav2vec2_speed") for what, value in _encoder(encoder)]
    return [(what, value, f"`results/{name}.json`, `python benchmarks/{name}.py`") for what, value, name in rows]


def _transcription(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in found.items()]


def _encoder(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in found.items()]


def _read(name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return values


if __name__ == "__main__":
    main()
