"""Tables from the JSON of a grid: noise types by SNR for one result, one line for each of several.

python -m noisewise.evaluation.table [--latex] RESULT.json...
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from noisewise.audio.degrade import DEGRADATIONS
from noisewise.evaluation.result import Average, GridResult, Row

NAMES = {"type_a": "type A", "type_b": "type B", "all": "all types"}
Table = list[list[str]]


def markdown(results: Sequence[GridResult]) -> str:
    """One result as a grid, several as a comparison, in Markdown; rates in percent."""
    return as_markdown(_table(results))


def latex(results: Sequence[GridResult]) -> str:
    """The same as a LaTeX `tabular` with booktabs rules."""
    return as_latex(_table(results))


def as_markdown(table: Table, labels: int = 1) -> str:
    """Lines of cells, the head first, in Markdown; the first `labels` columns hold words, the others numbers."""
    head, *body = ([text.replace("|", r"\|") for text in line] for line in table)
    rule = [*("---" for _ in head[:labels]), *("---:" for _ in head[labels:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body)) + "\n"


def as_latex(table: Table, labels: int = 1) -> str:
    """Lines of cells, the head first, as a LaTeX `tabular` with booktabs rules; `labels` as in `as_markdown`."""
    head, *body = ([_escaped(text) for text in line] for line in table)
    lines = [
        rf"\begin{{tabular}}{{{'l' * labels}{'r' * (len(head) - labels)}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(line) + r" \\" for line in body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def label(result: GridResult) -> str:
    """A short name of the recogniser: the model, the program, the server, or the last part of the module."""
    kind, _, rest = result.recogniser.partition(":")
    if kind == "python":
        return rest.partition(":")[0].rpartition(".")[2].replace("_", " ")
    if kind == "openai":
        address, _, model = rest.partition("#")
        return model.partition("&")[0] or address.partition("//")[2].partition("/")[0]
    return rest if kind == "command" else Path(rest if kind == "hf" else result.recogniser).name


def _table(results: Sequence[GridResult]) -> Table:
    if results[0].axis == "level":
        return _levels(results[0]) if len(results) == 1 else _degradations(results)
    return _grid(results[0]) if len(results) == 1 else _comparison(results)


def _grid(result: GridResult) -> Table:
    """WER of each cell, its averages over SNRs, and the averages over types."""
    lines = [["WER (%)", *(f"{snr:g} dB" for snr in result.snr_db), "mean"]]
    for kind in result.noise_types:
        cells = [_percent(result.cell(kind, snr).wer) for snr in result.snr_db]
        lines.append([kind.replace("_", " "), *cells, _percent(result.averages[kind].wer)])
    for name in ("type_a", "type_b", "all"):
        if name in result.averages:
            average = result.averages[name]
            lines.append([NAMES[name], *_by_snr(result, average), _with_interval(average)])
    return [*lines, ["clean", *("" for _ in result.snr_db), _with_interval(result.clean)]]


def _by_snr(result: GridResult, average: Average) -> Iterable[str]:
    for snr in result.snr_db:
        rates = [result.cell(kind, snr).wer for kind in average.noise_types]
        yield _percent(sum(rates) / len(rates))


def _comparison(results: Sequence[GridResult]) -> Table:
    """One line for each recogniser."""
    lines = [["WER (%)", "clean", "type A", "type B", "all types", "all types, mean of utterances"]]
    for result in results:
        averages = [result.averages.get(name) for name in ("type_a", "type_b", "all")]
        cells = ["" if average is None else _with_interval(average) for average in averages]
        last = "" if averages[2] is None else _percent(averages[2].mean_utterance_wer)
        lines.append([label(result), _with_interval(result.clean), *cells, last])
    return lines


def _levels(result: GridResult) -> Table:
    """Degradations: WER at each level, and the mean over the levels of each."""
    lines = [["degradation", "level", "WER (%)"], ["clean", "", _with_interval(result.clean)]]
    for kind in result.noise_types:
        unit = DEGRADATIONS[kind].unit if kind in DEGRADATIONS else ""
        for row in result.cells:
            if row.noise_type == kind:
                lines.append([kind, f"{row.snr_db:g} {unit}".strip(), _with_interval(row)])
        lines.append([kind, "mean", _with_interval(result.averages[kind])])
    return lines


def _degradations(results: Sequence[GridResult]) -> Table:
    """One line for each recogniser: the mean over the levels of each degradation that all have."""
    kinds = [kind for kind in results[0].noise_types if all(kind in result.averages for result in results)]
    lines = [["WER (%)", "clean", *kinds]]
    for result in results:
        rates = [_with_interval(result.averages[kind]) for kind in kinds]
        lines.append([label(result), _with_interval(result.clean), *rates])
    return lines


def _with_interval(rate: Row | Average) -> str:
    low, high = rate.ci
    return f"{_percent(rate.wer)} ({_percent(low)} to {_percent(high)})"


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


def _escaped(text: str) -> str:
    for character in r"\&%$#_{}":
        text = text.replace(character, r"\textbackslash " if character == "\\" else f"\\{character}")
    return text


def main(words: Sequence[str] | None = None) -> None:
    """Print the table of the files named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m noisewise.evaluation.table", description=__doc__)
    parser.add_argument("results", nargs="+", metavar="RESULT.json")
    parser.add_argument("--latex", action="store_true", help="LaTeX instead of Markdown")
    options = parser.parse_args(words)
    results = [GridResult.load(path) for path in options.results]
    print((latex if options.latex else markdown)(results), end="")


if __name__ == "__main__":
    main()
