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
    box, same, outsider = (
        GridResult.load(ROOT / "results" / f"{name}.json") for name in ("box_an4", "box_an4_44", "pocketsphinx_an4")
    )
    return "\n".join(
        [
            f"The model in the box on AN4 test ({box.utterances} utterances, {box.speakers} speakers) mixed with 7",
            "types of noise; training heard neither the speakers nor the noises. Greedy decoding, no language model;",
            "corpus WER in percent with 95 % bootstrap intervals (`results/box_an4.json`, which names its command).",
            "",
            table.markdown([box]),
            f"Beside pocketsphinx with its stock English model, on the same mixtures of {outsider.utterances} of those",
            "utterances, evenly spaced (`results/box_an4_44.json`, `results/pocketsphinx_an4.json`):",
            "",
            table.markdown([same, outsider]),
            "| measured | value | by |",
            "| --- | --- | --- |",
            *(f"| {what} | {value} | {source} |" for what, value, source in speeds()),
            "",
        ]
    )


def speeds() -> list[tuple[str, str, str]]:
    """Rows of the table of speeds: what, value, where it comes from."""
    mixing, spoken, encoder = (_read(name) for name in ("noise_mixing", "transcription", "wav2vec2_speed"))
    short, hour = spoken["short_recordings"], spoken["one_hour"]
    rows = [
        (
            "transcription, many short recordings, two cores",
            f"real-time factor {short['real_time_factor']:.4f}",
            "transcription",
        ),
        (
            "transcription, one hour in one file",
            f"{hour['seconds']:.0f} s, {hour['peak_memory_gb']:.2f} GB",
            "transcription",
        ),
        (
            "noise mixing in the loader",
            f"{mixing['cases']['noise']['per_core_second']:,} s of audio/s/core",
            "noise_mixing",
        ),
    ]
    for name, case in encoder["cases"].items():
        what = f"wav2vec 2.0 base encoder, {name}: time of transformers through ours"
        rows.append((what, f"{case['ratio']['wall']:.2f}", "wav2vec2_speed"))
    return [(what, value, f"`benchmarks/{name}.py`") for what, value, name in rows]


def _read(name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return values


if __name__ == "__main__":
    main()
