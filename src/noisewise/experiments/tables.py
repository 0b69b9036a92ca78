"""The tables of a plan from its result, laid out as the paper prints them: Markdown, LaTeX, CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from noisewise.evaluation.conditions import TYPE_A, TYPE_B
from noisewise.experiments.cells import Difference, Rate
from noisewise.experiments.plan import RowPlan, TablePlan
from noisewise.experiments.result import Compared, Measured, Mixtures, Reproduction
from noisewise.experiments.tagging_tables import tagging_note, tagging_tables
from noisewise.reports.tables import Table, as_latex, as_markdown
from noisewise.safe_text import csv_cell

NAMES = {
    "clean": "Clean", "type_a": "Type A", "type_b": "Type B", "all": "All types",
    "airport_station": "Airport/Station", "ac_vacuum": "AC/Vacuum",
}  # fmt: skip
"""As the paper writes them; others get a capital."""
NOT_RUN = "not run"


@dataclass(frozen=True)
class Column:
    """One column of numbers."""

    head: str
    rate: str
    """Its name in `Measured.rates`."""
    interval: bool = False
    """Whether it shows its confidence interval."""


@dataclass(frozen=True)
class Printed:
    """A table as it is written."""

    title: str
    lines: Table
    """The head first."""
    labels: int
    """Columns of words, before those of numbers."""


def tables(result: Reproduction) -> list[Printed]:
    """All tables of the plan, and the comparisons in pairs."""
    found = [
        Printed(title, _lines(result, plan, columns), len(plan.columns))
        for plan in result.tables
        for title, columns in _parts(plan, result.test)
    ]
    found += [comparisons(result)] if result.compared else []
    return found if result.sounds is None else [*found, *(Printed(*one) for one in tagging_tables(result.sounds))]


def summary(result: Reproduction, plan: TablePlan) -> Printed:
    """The rows of a table by their means: clean, type A, type B, all types, and all types by seed."""
    columns = [Column(NAMES[name], name, True) for name in ("clean", "type_a", "type_b", "all")]
    if result.test is not None:
        columns = [one for one in columns if any(one.rate in run.rates for run in result.measured)]
    lines = _lines(result, plan, columns)
    lines[0].append("by seed")
    for line, row in zip(lines[1:], plan.rows, strict=True):
        run = result.rates(row.run)
        rate = None if run is None else run.rates.get("all", run.rates["clean"])
        line.append("" if rate is None else ", ".join(map(_percent, rate.by_seed)))
    return Printed(plan.title, lines, len(plan.columns))


def comparisons(result: Reproduction) -> Printed:
    """A line for each pair: differences in points; over all types relative change, p, and the differences by seed."""
    shown = [name for name in ("clean", "type_a", "type_b", "all") if name in result.compared[0].differences]
    last = shown[-1]
    over = "clean" if last == "clean" else "all types"
    seeds = any(one.differences[last].by_seed for one in result.compared)  # older files do not hold them
    heads = [f"relative, {over}", f"p, {over}", *([f"by seed, {over}"] if seeds else [])]
    lines = [["WER of", "less that of", *(NAMES[name] for name in shown), *heads]]
    for one in result.compared:
        final = one.differences[last]
        differences = [_difference(one.differences[name]) for name in shown]
        by_seed = [", ".join(f"{100 * each:+.1f}" for each in final.by_seed)] if seeds else []
        names = [_named(result, one.better), _named(result, one.than)]
        lines.append([*names, *differences, _relative(final), _p(final), *by_seed])
    return Printed("Differences in pairs, in points; below 0 the first is better", lines, 2)


def note(result: Reproduction) -> str:
    """What the numbers are, in one paragraph."""
    test, bootstrap = result.test, result.bootstrap
    note = "" if result.sounds is None else f"{tagging_note(result.sounds, _several(result.seeds))}\n"
    if test is None or bootstrap is None:
        return note or "Nothing has been measured.\n"
    text = (
        f"Corpus WER in percent on {test.utterances} utterances of {test.speakers} speakers, {test.words} words, "
        f"{test.normaliser}; mean over seeds {_several(result.seeds)}. Intervals are the central 95 % of "
        f"{bootstrap.samples} bootstrap resamples of {bootstrap.unit}s, drawn with all their seeds and conditions, the "
        "same for every row: how other speech would do, not how another training would. Models are chosen on the "
        "validation set."
    )
    fewer = [f"{one.run}: {_several(one.seeds)}" for one in result.measured if one.seeds != sorted(result.seeds)]
    return text + (f" Of fewer seeds: {'; '.join(fewer)}.\n" if fewer else "\n") + note


def markdown(result: Reproduction) -> str:
    """All tables, with what they are."""
    parts = [f"**{one.title}**\n\n{as_markdown(one.lines, one.labels)}" for one in tables(result)]
    return "\n".join([*parts, note(result)])


def latex(result: Reproduction) -> str:
    """All tables as LaTeX tabulars with booktabs rules, each under its title as a comment."""
    return "\n".join(f"% {one.title}\n{as_latex(one.lines, one.labels)}" for one in tables(result))


def comma_separated(result: Reproduction) -> str:
    """Every rate of every run, one in a line; rates as fractions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "condition", "wer", "wer_low", "wer_high", *(f"seed_{seed}" for seed in result.seeds)])
    for run in result.measured:
        for name, rate in run.rates.items():
            by_seed = dict(zip(run.seeds, rate.by_seed, strict=True))
            numbers = [rate.wer, *rate.ci, *(by_seed.get(seed) for seed in result.seeds)]
            writer.writerow(
                [csv_cell(run.run), csv_cell(name), *("" if value is None else f"{value:.6g}" for value in numbers)]
            )
    return text.getvalue()


def _parts(plan: TablePlan, test: Mixtures | None) -> Iterator[tuple[str, list[Column]]]:
    """Titles and columns of the tables that a plan's table becomes."""
    types = [] if test is None else test.noise_types
    if plan.layout == "by_type":
        means = [Column("Avg", "all", True)] if types else []
        yield plan.title, [*(Column(_said(kind), kind) for kind in types), *means, Column("Clean", "clean", True)]
    elif plan.layout == "summary" or not types or test is None:
        names = ["clean", *(name for name, members in _sides(types) if members), *(["all"] if types else [])]
        yield plan.title, [Column(NAMES[name], name, True) for name in names]
    else:
        yield from _by_snr(plan.title, types, test.snr_db)


def _by_snr(title: str, types: list[str], snrs_db: list[float]) -> Iterator[tuple[str, list[Column]]]:
    """Type A, type B (Tables I and II); one table for both where the noises are neither."""
    sides = [(name, members) for name, members in _sides(types) if members] or [("all", types)]
    for name, members in sides:
        cells = [
            Column(f"{_said(kind)} {snr:g}" if snr == snrs_db[0] else f"{snr:g}", f"{kind}@{snr:g}")
            for kind in members
            for snr in snrs_db
        ]
        means = [Column("Avg", name, True)]
        if name == "type_b" and min(snrs_db) <= 0 < max(snrs_db):
            means.append(Column("Avg above 0 dB", "type_b_above_0_db"))  # what Table II averages
        yield f"{title}, {_inside(name)}, by SNR in dB", [*cells, *means, Column("Clean", "clean", True)]


def _sides(types: Sequence[str]) -> list[tuple[str, list[str]]]:
    return [
        (name, [kind for kind in types if kind in members])
        for name, members in (("type_a", TYPE_A), ("type_b", TYPE_B))
    ]


def _lines(result: Reproduction, plan: TablePlan, columns: list[Column]) -> Table:
    lines = [[*plan.columns, *(one.head for one in columns)]]
    for row in plan.rows:
        run = result.rates(row.run)
        numbers = [NOT_RUN, *("" for _ in columns[1:])] if run is None else [_number(run, one) for one in columns]
        lines.append([*row.labels, *numbers])
    return lines


def _number(run: Measured, column: Column) -> str:
    rate = run.rates.get(column.rate)
    if rate is None:
        return ""
    return _with_interval(rate) if column.interval else _percent(rate.wer)


def _named(result: Reproduction, run: str) -> str:
    """The labels of the first row of this run; its own name where no table has it."""
    rows: Iterator[RowPlan] = (row for table in result.tables for row in table.rows if row.run == run)
    return next((" ".join(row.labels) for row in rows), run)


def _difference(one: Difference) -> str:
    low, high = one.ci
    return f"{100 * one.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _relative(one: Difference) -> str:
    if one.relative is None or one.relative_ci is None:
        return ""
    low, high = one.relative_ci
    return f"{100 * one.relative:+.1f} % ({100 * low:+.1f} to {100 * high:+.1f})"


def _p(one: Difference) -> str:
    return "<0.001" if one.p < 0.001 else f"{one.p:.3f}"


def _with_interval(rate: Rate) -> str:
    low, high = rate.ci
    return f"{_percent(rate.wer)} ({_percent(low)} to {_percent(high)})"


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


def _several(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _inside(name: str) -> str:
    """A name in the middle of a sentence: type A."""
    return NAMES[name][0].lower() + NAMES[name][1:]


def _said(kind: str) -> str:
    return NAMES.get(kind, kind.replace("_", " ").capitalize())


__all__ = ["Compared", "comma_separated", "comparisons", "latex", "markdown", "note", "summary", "tables"]
