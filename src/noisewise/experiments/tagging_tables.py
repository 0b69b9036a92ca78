"""Tables, words and figures of the accuracies of taggers."""

from collections.abc import Iterator
from pathlib import Path

from noisewise.experiments.result import Reproduction
from noisewise.experiments.tagging import RESAMPLES, Accuracy, Curve, Gain, TaggingSummary
from noisewise.reports.tables import Table

NOT_RUN = "not run"


def tagging_tables(sounds: TaggingSummary) -> Iterator[tuple[str, Table, int]]:
    """Title, lines with the head first, and columns of words, of each table."""
    for table in sounds.plan.tables:
        lines = [[*table.columns, "accuracy (%)", "by seed"]]
        for row in table.rows:
            found = sounds.of(row.run)
            lines.append([*row.labels, *([NOT_RUN, ""] if found is None else [_with_interval(found), _by_seed(found)])])
        yield table.title, lines, len(table.columns)
    if sounds.gains:
        yield "Differences in pairs, in points; above 0 the first is better", _gains(sounds), 2
    for curve in sounds.curves:
        yield f"{curve.plan.title}: accuracy (%) after so many updates", _points(sounds, curve), 1
        if curve.reached:
            yield f"{curve.plan.title}: how soon one is as good as the other at its end", _reached(curve), 2


def tagging_note(sounds: TaggingSummary, seeds: str) -> str:
    """What the numbers are, in one paragraph."""
    protocol = (
        "Chosen on the test set and trained on the validation set too, as the papers do"
        if sounds.papers_protocol
        else "Models are chosen on held-out sources of the training set"
    )
    return (
        f"Accuracy in percent on {sounds.clips} test clips of {sounds.sources} sources; mean over seeds {seeds}. "
        f"{protocol}. Intervals are the central 95 % of {RESAMPLES} bootstrap resamples of sources, drawn with all "
        "their clips and seeds, the same for every row: how other sounds would do, not how another training would."
    )


def draw(result: Reproduction, folder: Path) -> list[Path]:
    """Write a picture of each curve, where matplotlib is installed."""
    sounds = result.sounds
    if sounds is None or not sounds.curves:
        return []
    try:
        from noisewise.reports.figures.curves import plot_curves
    except ImportError:
        return []
    paths = []
    for number, curve in enumerate(sounds.curves, start=1):
        lines = {line.label: _line(sounds, line.points) for line in curve.plan.lines}
        level = {label: found.accuracy for label, run in curve.plan.level.items() if (found := sounds.of(run))}
        if any(lines.values()):
            paths.append(folder / f"curve_{number}.png")
            plot_curves(lines, level, paths[-1], title=curve.plan.title, x_label="updates of pre-training")
    return paths


def _line(sounds: TaggingSummary, points: dict[int, str]) -> list[tuple[float, float, float, float]]:
    """Updates, accuracy and its interval."""
    found = [(at, sounds.of(points[at])) for at in sorted(points)]
    return [(float(at), one.accuracy, *one.ci) for at, one in found if one is not None]


def _points(sounds: TaggingSummary, curve: Curve) -> Table:
    updates = sorted({at for line in curve.plan.lines for at in line.points})
    lines = [["", *(f"{at:,}" for at in updates), "s per update"]]
    paces = {pace.line: pace for pace in curve.paces}
    for line in curve.plan.lines:
        found = [sounds.of(line.points[at]) if at in line.points else None for at in updates]
        pace = paces.get(line.label)
        numbers = ["" if one is None else _percent(one.accuracy) for one in found]
        lines.append([line.label, *numbers, "" if pace is None else f"{pace.seconds_per_update:.2f}"])
    for label, run in curve.plan.level.items():
        one = sounds.of(run)
        lines.append([label, *("" if one is None else _percent(one.accuracy) for _ in updates), ""])
    return lines


def _gains(sounds: TaggingSummary) -> Table:
    lines = [["accuracy of", "less that of", "difference", "by seed"]]
    for one in sounds.gains:
        lines.append([_named(sounds, one.better), _named(sounds, one.than), _difference(one), _several(one.by_seed)])
    return lines


def _reached(curve: Curve) -> Table:
    lines = [["line", "reaches the end of", "accuracy (%)", "updates", "of", "fewer", "seconds", "of", "fewer"]]
    for one in curve.reached:
        numbers = [*_ratio(one.updates, one.than_updates), *_ratio(one.seconds, one.than_seconds)]
        lines.append([one.line, one.than, _percent(one.accuracy), *numbers])
    return lines


def _ratio(found: float | None, other: float) -> list[str]:
    if found is None:
        return ["not reached", f"{other:,.0f}", ""]
    return [f"{found:,.0f}", f"{other:,.0f}", f"{other / found:.1f} times"]


def _named(sounds: TaggingSummary, run: str) -> str:
    """The labels of the first row of this run; its own name where no table has it."""
    rows = (row for table in sounds.plan.tables for row in table.rows if row.run == run)
    return next((" ".join(label for label in row.labels if label) for row in rows), run)


def _difference(one: Gain) -> str:
    low, high = one.ci
    return f"{100 * one.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _with_interval(one: Accuracy) -> str:
    low, high = one.ci
    return f"{_percent(one.accuracy)} ({_percent(low)} to {_percent(high)})"


def _by_seed(one: Accuracy) -> str:
    return ", ".join(map(_percent, one.by_seed))


def _several(values: list[float]) -> str:
    return ", ".join(f"{100 * value:+.1f}" for value in values)


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}"
