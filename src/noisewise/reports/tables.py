"""Tables from results of evaluations: noise types by SNR for one result, one line for each of several.

python -m noisewise.reports.tables [--latex] RESULT.json...
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from noisewise import safe_text
from noisewise.evaluation.result import Average, GridResult, Rates
from noisewise.reports import measures
from noisewise.reports.measures import NAMES, Table, percent
from noisewise.reports.metrics import Metric, shown

__all__ = ["NAMES", "Table", "as_latex", "as_markdown", "label", "latex", "markdown", "one_metric", "percent", "tables"]


def markdown(results: Sequence[GridResult]) -> str:
    """One result as a grid for each metric, several as a comparison, in Markdown; rates in percent."""
    return "\n".join(as_markdown(table) for table in tables(results))


def latex(results: Sequence[GridResult]) -> str:
    """The same as LaTeX `tabular`s with booktabs rules."""
    return "\n".join(as_latex(table) for table in tables(results))


def as_markdown(table: Table, labels: int = 1) -> str:
    """Lines of cells, the head first, in Markdown; the first `labels` columns hold words, the others numbers."""
    head, *body = ([safe_text.markdown(text) for text in line] for line in table)
    rule = [*("---" for _ in head[:labels]), *("---:" for _ in head[labels:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body)) + "\n"


def as_latex(table: Table, labels: int = 1) -> str:
    """Lines of cells, the head first, as a LaTeX `tabular` with booktabs rules; `labels` as in `as_markdown`."""
    head, *body = ([safe_text.latex(text) for text in line] for line in table)
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
    """A short name of the system: the model, the program, the server, or the last part of the module."""
    kind, _, rest = result.system.partition(":")
    if kind == "python":
        return rest.partition(":")[0].rpartition(".")[2].replace("_", " ")
    if kind == "openai":
        address, _, model = rest.partition("#")
        return model.partition("&")[0] or address.partition("//")[2].partition("/")[0]
    return rest if kind == "command" else Path(rest if kind == "hf" else result.system).name


def tables(results: Sequence[GridResult]) -> list[Table]:
    """One result as a table for each metric, several as one table."""
    if len(results) > 1:
        return [(_degradations if results[0].degradations else _comparison)(results)]
    found = [one_metric(results[0], metric) for metric in shown(results[0])]
    return [*found, *(table for _, table in measures.sections(results[0]))]


def one_metric(result: GridResult, metric: Metric) -> Table:
    """One result and one metric: noise types by SNR, or a line for each level of each degradation."""
    return (_levels if result.degradations else _grid)(result, metric)


def _grid(result: GridResult, metric: Metric) -> Table:
    """The rate of each cell, its averages over SNRs, and the averages over types."""
    lines = [[f"{metric.short} (%)", *(f"{snr:g} dB" for snr in result.snrs_db), "mean"]]
    for kind in result.noise_types:
        rates = [*(result.cell(kind, snr) for snr in result.snrs_db), result.averages[kind]]
        lines.append([kind.replace("_", " "), *(percent(each.value(metric.key)) for each in rates)])
    for name in ("type_a", "type_b", "all"):
        if name in result.averages:
            average = result.averages[name]
            lines.append([NAMES[name], *_by_snr(result, average, metric), _with_interval(average, metric)])
    return [*lines, ["clean", *("" for _ in result.snrs_db), _with_interval(result.clean, metric)]]


def _by_snr(result: GridResult, average: Average, metric: Metric) -> Iterable[str]:
    for snr in result.snrs_db:
        rates = [result.cell(kind, snr).value(metric.key) for kind in average.names]
        yield percent(sum(rates) / len(rates))


def _comparison(results: Sequence[GridResult]) -> Table:
    """One line for each system, by the main metric of the first."""
    metric = shown(results[0])[0]
    by_utterance = "mean_utterance_wer"
    with_utterances = by_utterance in results[0].clean.rates
    last = ["all types, mean of utterances"] if with_utterances else []
    lines = [[f"{metric.short} (%)", "clean", "type A", "type B", "all types", *last]]
    for result in results:
        averages = [result.averages.get(name) for name in ("type_a", "type_b", "all")]
        cells = ["" if average is None else _with_interval(average, metric) for average in averages]
        if with_utterances:
            cells.append("" if averages[2] is None else percent(averages[2].value(by_utterance)))
        lines.append([label(result), _with_interval(result.clean, metric), *cells])
    return lines


def _levels(result: GridResult, metric: Metric) -> Table:
    """Degradations: the rate at each level, and the mean over the levels of each."""
    lines = [["degradation", "level", f"{metric.short} (%)"], ["clean", "", _with_interval(result.clean, metric)]]
    for name in result.degradations:
        for row in result.cells:
            if row.condition.name == name:
                level = f"{row.condition.value:g} {row.condition.unit}".strip()
                lines.append([name, level, _with_interval(row, metric)])
        lines.append([name, "mean", _with_interval(result.averages[name], metric)])
    return lines


def _degradations(results: Sequence[GridResult]) -> Table:
    """One line for each system: the mean over the levels of each degradation that all have."""
    metric = shown(results[0])[0]
    names = [name for name in results[0].degradations if all(name in result.averages for result in results)]
    lines = [[f"{metric.short} (%)", "clean", *names]]
    for result in results:
        rates = [_with_interval(result.averages[name], metric) for name in names]
        lines.append([label(result), _with_interval(result.clean, metric), *rates])
    return lines


def _with_interval(rates: Rates, metric: Metric) -> str:
    low, high = rates.ci(metric.key)
    return f"{percent(rates.value(metric.key))} ({percent(low)} to {percent(high)})"


def main(words: Sequence[str] | None = None) -> None:
    """Print the table of the files named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m noisewise.reports.tables", description=__doc__)
    parser.add_argument("results", nargs="+", metavar="RESULT.json")
    parser.add_argument("--latex", action="store_true", help="LaTeX instead of Markdown")
    options = parser.parse_args(words)
    results = [GridResult.load(path) for path in options.results]
    print((latex if options.latex else markdown)(results), end="")


if __name__ == "__main__":
    main()
