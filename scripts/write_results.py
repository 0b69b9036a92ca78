"""Write the table of README.md and the tables of docs/results.md and docs/results/ from the files in `results/`.

    python scripts/write_results.py

Every number between the markers comes from a file that a command wrote; a test fails when a page is stale.
"""

import json
import statistics
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from noisewise.evaluation.result import GridResult
from noisewise.experiments import tables
from noisewise.experiments.cells import Trained
from noisewise.experiments.result import Reproduction
from noisewise.reports import tables as table

ROOT = Path(__file__).parent.parent
RESULTS, DOCS = ROOT / "results", ROOT / "docs"
AN4 = RESULTS / "an4_ctc" / "an4.json"
"""The AN4 model, a small one that most other results are of."""
BOX = AN4
"""The model in the box, whose table stands in the README: the AN4 model."""
SET_UP = {
    "an4_ctc/an4_44": "none",
    "other_systems/pocketsphinx_an4_44": "`pip install pocketsphinx==5.1.1`",
    "other_systems/an4_ctc_over_http_44": (
        "`python benchmarks/recognisers/openai_server.py tests/fixtures/an4_ctc --port 8091`"
    ),
}
"""Results on the same mixtures to what has to be done before their command."""
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
REPRODUCED = [RESULTS / plan / "mini.json" for plan in ("wav2code", "wav2code_box", "wav2code_waveform")]
"""The results of the plans of Wav2code under recipes/mini; those that are not there yet are left out."""
EARLIER = [RESULTS / "wav2code" / f"mini_earlier{number}.json" for number in ("", "_2")]
"""Results of the first of these plans on other machines."""
CAT = RESULTS / "cat" / "mini.json"
PAGES = {DOCS / "results" / "wav2code.md": REPRODUCED, DOCS / "results" / "cat.md": [CAT]}
"""Hold all tables of these plans, between the same markers."""
ENCODER_DECODER_PAGE = DOCS / "results" / "encoder_decoder.md"
ENCODER_DECODERS = {
    "from the AN4 model": RESULTS / "encoder_decoder" / "an4.json",
    "log-mel": RESULTS / "encoder_decoder" / "log_mel_an4.json",
    "MFCC": RESULTS / "encoder_decoder" / "mfcc_an4.json",
}
"""Models to their files; the page of the encoder-decoder has them all, the overview the first."""
SEARCHES = ("CTC, greedy", "both", "both, n-gram and lexicon")
"""Rows of the encoder-decoder in the overview."""
DECODINGS = ("greedy", "n-gram", "n-gram and lexicon", "mixture and lexicon", "public names and lexicon")
"""Rows of decoding in the overview."""


def main() -> None:
    """Bring README.md and the pages up to date."""
    pages = {
        ROOT / "README.md": updated_readme,
        DOCS / "results.md": updated,
        ENCODER_DECODER_PAGE: updated_encoder_decoder,
    }
    for path, update in pages.items():
        path.write_text(update(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path, reproduced in PAGES.items():
        path.write_text(updated_page(path.read_text(encoding="utf-8"), reproduced), encoding="utf-8")


def updated_readme(readme: str) -> str:
    """The README with its table replaced: the box by noise type and SNR, ten lines."""
    lines = table.markdown([GridResult.load(BOX)]).splitlines()
    kept = [line for line in lines if line.strip() and not line.startswith(("| type A", "| type B"))]
    return _between(readme, "\n".join(kept) + "\n")


def updated(page: str) -> str:
    """The overview of results with its tables replaced."""
    return _between(page, section())


def updated_page(page: str, reproduced: Sequence[Path]) -> str:
    """A page with all tables of its plans, if it has the markers and there is a result."""
    there = [path for path in reproduced if path.is_file()]
    if BEGIN not in page or not there:
        return page
    parts = [tables.markdown(Reproduction.load(path)) for path in there]
    if there[0] == REPRODUCED[0]:
        parts.append(trainings([*EARLIER, there[0]]))
    return _between(page, "\n".join(parts))


def updated_encoder_decoder(page: str) -> str:
    """The page of the encoder-decoder with the error rates of each model and search."""
    return _between(page, "\n".join(encoder_decoders()))


def trainings(paths: Sequence[Path]) -> str:
    """Error rates in noise of all trainings of EW2 and Wav2code, machine after machine.

    Of their differences the mean, and the deviation of a single one: how another training would do.
    """
    lines, differences = [["Result", "Seed", "EW2", "Wav2code", "difference"]], []
    for path in paths:
        rates = {(one.run, one.seed): _in_noise(one) for one in Reproduction.load(path).runs if one.cells}
        for seed in sorted(seed for run, seed in rates if run == "wav2code"):
            first, second = 100 * rates["ew2_noisy", seed], 100 * rates["wav2code", seed]
            differences.append(second - first)
            lines.append(
                [
                    f"{path.parent.name}/{path.stem}",
                    str(seed),
                    f"{first:.1f}",
                    f"{second:.1f}",
                    f"{second - first:+.1f}",
                ]
            )
    mean, deviation = statistics.mean(differences), statistics.stdev(differences)
    lines.append([f"mean of {len(differences)}", "", "", "", f"{mean:+.1f}, deviation {deviation:.1f}"])
    return "**All trainings of EW2 and Wav2code, WER in noise (%)**\n\n" + table.as_markdown(lines, 2)


def _in_noise(run: Trained) -> float:
    cells = [cell for cell in run.cells if cell.condition != "clean"]
    return sum(cell.S + cell.D + cell.I for cell in cells) / sum(cell.words for cell in cells)


def _between(text: str, new: str) -> str:
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{new}{END}{rest.partition(END)[2]}"


def section() -> str:
    """What stands between the markers of the overview."""
    an4 = GridResult.load(AN4)
    others = {name: GridResult.load(RESULTS / f"{name}.json") for name in SET_UP}
    return "\n".join(
        [
            "## The AN4 model",
            "",
            "`tests/fixtures/an4_ctc`, trained by `recipes/mini/an4.yaml`: CTC of 4.7 M parameters for letters, digits",
            "and dates, with the weights of the model in the box. Tests, and most measurements below, are of it.",
            "",
            f"AN4 test ({an4.items} utterances, {an4.groups} speakers) mixed with 7 types of noise; neither the",
            "speakers nor the noises are in training, but 25 of the sentences are, said by others",
            "([rates without those](guides/evaluation.md#stored-results)). Greedy decoding, no language model; corpus",
            "WER in percent with 95 % bootstrap intervals (`results/an4_ctc/an4.json`, which holds its command).",
            "",
            table.markdown([an4]),
            "Reverberation, clipping, codecs, lost packets, and where it breaks: [its card](results/card_an4.md).",
            "",
            "## Other systems",
            "",
            f"The same mixtures of {others['an4_ctc/an4_44'].items} of those utterances, evenly spaced, all by",
            "`noisewise evaluate --model ...`: the AN4 model as baseline, pocketsphinx with its stock English model,",
            "and the AN4 model behind an HTTP server.",
            "",
            table.markdown(list(others.values())),
            "| system | `--model` | set-up | record, with the whole command |",
            "| --- | --- | --- | --- |",
            *(
                f"| {table.label(result)} | `{result.system}` | {SET_UP[name]} | `results/{name}.json` |"
                for name, result in others.items()
            ),
            "",
            *decodings(),
            *encoder_decoder(),
            *reproduction(REPRODUCED),
            *cat(),
            "## Speed",
            "",
            "| measured | value | by |",
            "| --- | --- | --- |",
            *(f"| {what} | {value} | {source} |" for what, value, source in speeds()),
            "",
        ]
    )


def decodings(path: Path = RESULTS / "decoding" / "an4.json") -> list[str]:
    """Lines about ways to decode the same log-probabilities, if they have been measured."""
    if not path.is_file():
        return []
    result = json.loads(path.read_text(encoding="utf-8"))
    return [
        "## Decoding",
        "",
        "The AN4 model on AN4 test with language models of training text and of lists of names; weights are tuned on",
        "held-back speakers in training noise (development). Record: `results/decoding/an4.json`; more:",
        "[decoding](results/decoding.md).",
        "",
        *_ways({"": result}, DECODINGS),
        "",
    ]


def encoder_decoder(path: Path = ENCODER_DECODERS["from the AN4 model"]) -> list[str]:
    """Lines about the encoder-decoder that begins with the AN4 model, if it has been measured."""
    if not path.is_file():
        return []
    return [
        "## Encoder-decoder",
        "",
        "An [attention encoder-decoder](papers/encoder_decoder.md) whose encoder begins with that of the AN4 model,",
        f"decoded by CTC alone and by CTC and attention (`results/encoder_decoder/{path.name}`).",
        "",
        *_ways({"": json.loads(path.read_text(encoding="utf-8"))}, SEARCHES),
        "",
    ]


def encoder_decoders() -> list[str]:
    """Lines about all encoder-decoders that have been measured."""
    there = {name: path for name, path in ENCODER_DECODERS.items() if path.is_file()}
    if not there:
        return ["Nothing has been measured."]
    return [*_ways({name: json.loads(path.read_text(encoding="utf-8")) for name, path in there.items()}), ""]


def _ways(results: dict[str, dict[str, Any]], wanted: Collection[str] = ()) -> list[str]:
    """A table of ways to decode: WER clean, in the grid, and on the development set; models by their names, if any."""
    first = next(iter(results.values()))
    sets = [name for name in ("clean", "grid") if all(name in each for each in results.values())]
    heads = [f"{name} ({first[name]['utterances']} utterances)" for name in sets] + ["development"]
    lines = [["WER (%)", *heads]]
    for model, result in results.items():
        for way in [way for way in result["ways"] if not wanted or way in wanted]:
            cells = [*(_percent(result[name][way]) for name in sets), f"{100 * result['development']['wer'][way]:.1f}"]
            lines.append([f"{model}: {way}" if model else way, *cells])
    return table.as_markdown(lines, 1).rstrip("\n").split("\n")


def _percent(cell: dict[str, Any]) -> str:
    low, high = (100 * each for each in cell["ci"])
    return f"{100 * cell['wer']:.1f} ({low:.1f} to {high:.1f})"


def reproduction(paths: Sequence[Path]) -> list[str]:
    """Lines about the runs of the first plan that has a result: the rows of its first table by their means."""
    path = next((one for one in paths if one.is_file()), None)
    if path is None:
        return []
    result = Reproduction.load(path)
    rows = tables.summary(result, result.tables[0])
    return [
        "## EW2 and Wav2code",
        "",
        f"{rows.title}: trained by `{result.command}`",
        f"(`results/{path.parent.name}/{path.name}`; all tables and paired differences: "
        "[results/wav2code](results/wav2code.md)).",
        tables.note(result),
        table.as_markdown(rows.lines, rows.labels),
    ]


def cat(path: Path = CAT) -> list[str]:
    """Lines about the mini experiments of CAT: its own stem, fine-tuned; its page has the others."""
    if not path.is_file():
        return []
    result = Reproduction.load(path)
    first = next(one for one in tables.tables(result) if one.title == "Fine-tuned")
    head, *rows = first.lines
    return [
        "## CAT",
        "",
        "Accuracy on fold 1 of ESC-50, fine-tuned; the external encoder of the regularised runs was trained on the",
        f"same labels (`{result.command}`; all tables: [results/cat](results/cat.md)).",
        "",
        table.as_markdown(
            [head, *(row for row in rows if row[0] == "Multi-resolution Block" and row[1] in ("no", "yes"))],
            first.labels,
        ),
    ]


def speeds() -> list[tuple[str, str, str]]:
    """Rows of the table of speeds: what, value, where it comes from."""
    mixing, spoken, encoder = (_read(name) for name in ("noise_mixing", "transcription", "wav2vec2"))
    named = {"an4_ctc": "the AN4 model", "box": "the box"}[spoken["model"]["name"]]
    short, hour = spoken["short_recordings"], spoken["one_hour"]
    rows = [
        (
            f"transcription, many short recordings, two cores, {named}",
            f"real-time factor {short['real_time_factor']:.4f}",
            "transcription",
        ),
        (
            f"transcription, one hour in one file, {named}",
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
        what = f"wav2vec 2.0 base encoder, {name}: time of transformers / noisewise"
        rows.append((what, f"{case['ratio']['wall']:.2f}", "wav2vec2_speed"))
    what = "EW2 pre-training step, base size, float32 and bfloat16: time of two passes of transformers / noisewise"
    ratios = [f"{_read(name)['ratios']['twice']:.2f}" for name in ("ew2_pretraining", "ew2_pretraining_bf16")]
    rows.append((what, ", ".join(ratios), "ew2_pretraining"))
    return [(what, value, f"`benchmarks/{name}.py`") for what, value, name in rows]


def _read(name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((RESULTS / "speed" / f"{name}.json").read_text(encoding="utf-8"))
    return values


if __name__ == "__main__":
    main()
