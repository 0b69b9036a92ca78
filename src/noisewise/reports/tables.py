"""Tables from the JSON of a grid: noise types by SNR for one result, one line for each of several.

python -m noisewise.evaluation.table [--latex] RESULT.json...
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from noisewise.audio.degrade import DEGRADATIONS
from noisewise.evaluation.result import Average, GridResult, Row

NAMES = {"type_a": "type A", "type_b": "type B", "all": "all types"}
Table = list[list[str]]


@dataclass(frozen=True)
class Measure:
    """A rate that a table or a figure shows."""

    short: str
    """As in the head of a table."""
    name: str
    rate: Callable[[Any], float]
    """Of a row or an average, as a fraction."""
    ci: Callable[[Any], Sequence[float]]
    """Low and high end of its interval."""
    rises: bool = False
    """Whether more is better."""


WER = Measure("WER", "word error rate", lambda row: row.wer, lambda row: row.ci)


class Measured(Protocol):
    """A result with a row for each condition."""

    @property
    def axis(self) -> str:
        """`snr_db` or `level`."""

    @property
    def snr_db(self) -> list[float]:
        """Ratios, or levels."""

    @property
    def noise_types(self) -> list[str]:
        """Or degradations."""

    @property
    def clean(self) -> Any:
        """The row of the clean test set."""

    @property
    def cells(self) -> Sequence[Any]:
        """The others."""

    @property
    def averages(self) -> Mapping[str, Any]:
        """Means over cells."""

    @property
    def recogniser(self) -> str:
        """Who listened."""

    def cell(self, noise_type: str, snr_db: float, /) -> Any:
        """The row of a condition."""


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


def label(result: Measured) -> str:
    """A short name of the recogniser: the model, the program, the server, or the last part of the module."""
    kind, _, rest = result.recogniser.partition(":")
    if kind == "python":
        return rest.partition(":")[0].rpartition(".")[2].replace("_", " ")
    if kind == "openai":
        address, _, model = rest.partition("#")
        return model.partition("&")[0] or address.partition("//")[2].partition("/")[0]
    return rest if kind == "command" else Path(rest if kind == "hf" else result.recogniser).name


def _table(results: Sequence[GridResult]) -> Table:
    if len(results) == 1:
        return one_measure(results[0], WER)
    return (_degradations if results[0].axis == "level" else _comparison)(results)


def one_measure(result: Measured, measure: Measure) -> Table:
    """One result and one rate: noise types by SNR, or a line for each level of each degradation."""
    return _levels(result, measure) if result.axis == "level" else _grid(result, measure)


def _grid(result: Measured, measure: Measure) -> Table:
    """The rate of each cell, its averages over SNRs, and the averages over types."""
    lines = [[f"{measure.short} (%)", *(f"{snr:g} dB" for snr in result.snr_db), "mean"]]
    for kind in result.noise_types:
        cells = [percent(measure.rate(result.cell(kind, snr))) for snr in result.snr_db]
        lines.append([kind.replace("_", " "), *cells, percent(measure.rate(result.averages[kind]))])
    for name in ("type_a", "type_b", "all"):
        if name in result.averages:
            average = result.averages[name]
            lines.append([NAMES[name], *_by_snr(result, average, measure), _interval(average, measure)])
    return [*lines, ["clean", *("" for _ in result.snr_db), _interval(result.clean, measure)]]


def _by_snr(result: Measured, average: Any, measure: Measure) -> Iterable[str]:
    for snr in result.snr_db:
        rates = [measure.rate(result.cell(kind, snr)) for kind in average.noise_types]
        yield percent(sum(rates) / len(rates))


def _comparison(results: Sequence[GridResult]) -> Table:
    """One line for each recogniser."""
    lines = [["WER (%)", "clean", "type A", "type B", "all types", "all types, mean of utterances"]]
    for result in results:
        averages = [result.averages.get(name) for name in ("type_a", "type_b", "all")]
        cells = ["" if average is None else _with_interval(average) for average in averages]
        last = "" if averages[2] is None else percent(averages[2].mean_utterance_wer)
        lines.append([label(result), _with_interval(result.clean), *cells, last])
    return lines


def _levels(result: Measured, measure: Measure) -> Table:
    """Degradations: the rate at each level, and the mean over the levels of each."""
    lines = [["degradation", "level", f"{measure.short} (%)"], ["clean", "", _interval(result.clean, measure)]]
    for kind in result.noise_types:
        unit = DEGRADATIONS[kind].unit if kind in DEGRADATIONS else ""
        for row in result.cells:
            if row.noise_type == kind:
                lines.append([kind, f"{row.snr_db:g} {unit}".strip(), _interval(row, measure)])
        lines.append([kind, "mean", _interval(result.averages[kind], measure)])
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
    return _interval(rate, WER)


def _interval(row: Any, measure: Measure) -> str:
    low, high = measure.ci(row)
    return f"{percent(measure.rate(row))} ({percent(low)} to {percent(high)})"


def percent(rate: float) -> str:
    """A rate in percent, with one decimal."""
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
