"""A plan: which recipes are run, from which other runs they begin, on what they are measured, what is printed.

A plan lies beside its recipes, `recipes/<scale>/<name>/plan.yaml`, in plain values:

    seeds: [0, 1]
    runs:
      ew2: {recipe: ew2.yaml}
      wav2code: {recipe: wav2code.yaml, set: ["start_from={runs}/ew2/best", "model.codes=256"]}

`{runs}` stands for the folder of the runs of the same seed; a run needs those that its values name so.
"""

import re
from collections.abc import Iterator
from dataclasses import field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from noisewise.config import config, load
from noisewise.errors import ConfigError, RunError
from noisewise.evaluation.config import GridConfig

RECIPES = Path("recipes")
"""Where plans are looked for: in the current folder, a checkout."""
_NEEDS = re.compile(r"\{runs\}/([^/\s,\]}\"']+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@config
class RunPlan:
    """One training."""

    recipe: str
    """A recipe, by its path from the plan's folder."""
    set: list[str] = field(default_factory=list)
    """Values that differ, as `key.path=value`; `{runs}` is the folder of the runs of this seed."""

    @property
    def needs(self) -> list[str]:
        """Runs that its values name, each once."""
        return list(dict.fromkeys(name for text in self.set for name in _NEEDS.findall(text)))


@config
class GridPlan(GridConfig):
    """On what recognisers are measured."""

    device: str = "cpu"
    """Device that models run on."""


@config
class RowPlan:
    """One row of a table."""

    labels: list[str]
    """Labels before the numbers, one for each column of the table."""
    run: str
    """Run whose numbers the row shows."""


@config
class TablePlan:
    """One table."""

    title: str
    """Title."""
    columns: list[str]
    """Heads of the labels: Method, Pre-train, Fine-tune."""
    rows: list[RowPlan]
    """Rows from top to bottom."""
    layout: Literal["noise_by_snr", "by_type", "summary"] = "noise_by_snr"
    """noise_by_snr: each type at each SNR, types A and B apart (Tables I and II of Wav2code); by_type: the mean over
    SNRs of each type (Table IV); summary: clean, type A, type B and all types with intervals."""


@config
class ComparisonPlan:
    """Two runs on the same mixtures: the difference is that of `better` less that of `than`."""

    better: str
    """The run that is claimed to be better."""
    than: str
    """Baseline: the run that it is compared with."""


@config
class AccuracyTablePlan:
    """One table of accuracies."""

    title: str
    """Title."""
    columns: list[str]
    """Heads of the labels."""
    rows: list[RowPlan]
    """Rows from top to bottom."""


@config
class LinePlan:
    """What a pre-training gives after so many updates."""

    label: str
    """Label of the line."""
    run: str
    """The pre-training, whose `run.release_at` has these updates."""
    points: dict[int, str]
    """Updates to the run that begins there (`start_from={runs}/RUN/step_UPDATES`), and is tested."""
    after: list[str] = field(default_factory=list)
    """Runs whose training counts as cost of the pre-training, such as an external encoder."""


@config
class CurvePlan:
    """Accuracy over updates of pre-training."""

    title: str
    """Title."""
    lines: list[LinePlan]
    """Lines that are drawn."""
    level: dict[str, str] = field(default_factory=dict)
    """Label to a run without pre-training, drawn beside."""
    reach: list[ComparisonPlan] = field(default_factory=list)
    """Pairs of labels of lines: how soon does `better` reach what `than` has at its end?"""


@config
class TaggingPlan:
    """Tables and curves of taggers: their accuracy on the `test` of their recipes."""

    tables: list[AccuracyTablePlan] = field(default_factory=list)
    """Accuracies with intervals."""
    comparisons: list[ComparisonPlan] = field(default_factory=list)
    """Differences in pairs of runs."""
    curves: list[CurvePlan] = field(default_factory=list)
    """Accuracy over pre-training."""
    pools: dict[str, list[str]] = field(default_factory=dict)
    """A name that stands for several runs, each tested on other clips, such as the five folds of ESC-50: its accuracy
    is over the clips of all."""

    @property
    def runs(self) -> set[str]:
        """Runs that are tested: those that are named, and those of pools that are."""
        return {run for name in self.shown for run in self.pools.get(name, [name])}

    @property
    def shown(self) -> set[str]:
        """Runs and pools that are named."""
        rows = {row.run for table in self.tables for row in table.rows}
        pairs = {name for one in self.comparisons for name in (one.better, one.than)}
        drawn = {name for one in self.curves for line in one.lines for name in line.points.values()}
        return rows | pairs | drawn | {name for one in self.curves for name in one.level.values()}


@config
class Plan:
    """The experiments of a paper."""

    runs: dict[str, RunPlan]
    """Name, also of the folder, to what is trained."""
    grid: GridPlan | None = None
    """Grid that recognisers are measured on."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Seeds, with each of which every run is trained once."""
    tables: list[TablePlan] = field(default_factory=list)
    """Tables that are printed; the runs in them are measured."""
    comparisons: list[ComparisonPlan] = field(default_factory=list)
    """Pairs of runs that are compared; these runs are measured too."""
    sounds: TaggingPlan | None = None
    """Tables and curves of taggers."""

    @property
    def named(self) -> set[str]:
        """Every run that something printed names."""
        sounds = self.sounds
        if sounds is None:
            return self.measured
        lines = [line for one in sounds.curves for line in one.lines]
        return self.measured | sounds.runs | {name for line in lines for name in (line.run, *line.after)}

    @property
    def measured(self) -> set[str]:
        """Runs that a table or a comparison names."""
        compared = {name for one in self.comparisons for name in (one.better, one.than)}
        return {row.run for table in self.tables for row in table.rows} | compared

    def chosen(self, names: list[str]) -> list[str]:
        """These runs and all that they need, in an order in which each comes after what it needs.

        Raises:
            RunError: a run is unknown, or needs itself in the end.
        """
        found: list[str] = []
        for name in names:
            self._visit(name, "the request", (), found)
        return found

    def _visit(self, name: str, wanted_by: str, path: tuple[str, ...], found: list[str]) -> None:
        if name in found:
            return
        if name not in self.runs:
            near = get_close_matches(name, self.runs, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"the plan has {', '.join(self.runs)}"
            raise RunError(f"{wanted_by} must name a run of the plan, but names '{name}'; {hint}")
        if name in path:
            circle = " -> ".join((*path[path.index(name) :], name))
            raise RunError(f"runs must not need one another in a circle, but do: {circle}; change a start_from")
        for need in self.runs[name].needs:
            self._visit(need, f"`runs.{name}.set`", (*path, name), found)
        found.append(name)


def find(name: str, scale: str) -> Path:
    """The file of a plan: a path, or `recipes/<scale>/<name>/plan.yaml`.

    Raises:
        RunError: there is none.
    """
    for path in (Path(name), RECIPES / scale / name / "plan.yaml"):
        if path.is_file():
            return path
    there = sorted(path.parent for path in RECIPES.glob("*/*/plan.yaml"))
    known = ", ".join(f"{path.name} --scale {path.parent.name}" for path in there)
    raise RunError(
        f"`{name}` must be the path of a plan, or the name of one in {RECIPES / scale}, but is neither; "
        + (f"there are {known}" if known else "recipes are not in the installed package: run it in a checkout")
    )


def title(path: Path) -> str:
    """What a plan's runs and results are called: `wav2code_mini` for recipes/mini/wav2code/plan.yaml."""
    folder = path.resolve().parent
    return f"{folder.name}_{folder.parent.name}" if _is_in_recipes(folder) else folder.name


def place(path: Path) -> str:
    """Where a plan's result is kept below `results/`: `wav2code/mini` for recipes/mini/wav2code/plan.yaml."""
    folder = path.resolve().parent
    return f"{folder.name}/{folder.parent.name}" if _is_in_recipes(folder) else folder.name


def _is_in_recipes(folder: Path) -> bool:
    return folder.parent.parent.name == RECIPES.name


def read(path: Path) -> Plan:
    """Read a plan, and see that its names and labels fit.

    Raises:
        ConfigError: it is not a plan.
        RunError: it names a run that it does not have, or one that needs itself.
    """
    plan = load(Plan, path)
    for problem in _problems(plan):
        raise RunError(f"`{path}`: {problem}")
    try:
        plan.chosen(list(plan.runs))
        for name in sorted(plan.named):
            plan.chosen([name])
    except RunError as error:
        raise RunError(f"`{path}`: {error}") from error
    return plan


def _problems(plan: Plan) -> Iterator[str]:
    if plan.grid is None and plan.measured:
        yield "`grid` must be given where tables or comparisons name recognisers, but is missing"
    sounds = plan.sounds or TaggingPlan()
    for curve in sounds.curves:
        labels = {line.label for line in curve.lines}
        odd = [name for one in curve.reach for name in (one.better, one.than) if name not in labels]
        if odd or not all(line.points for line in curve.lines):
            found = f"'{odd[0]}'" if odd else "a line without points"
            yield f"`{curve.title}` must have points on each line, and labels of lines in `reach`, but has {found}"
    if not plan.runs or not plan.seeds:
        yield "`runs` and `seeds` must hold something, but one of them is empty"
    if len(set(plan.seeds)) != len(plan.seeds):
        yield f"`seeds` must differ, but are {plan.seeds}"
    for name in plan.runs:
        if not _NAME.fullmatch(name):
            yield f"a run's name must be of letters, digits, dots, dashes and underscores, but is '{name}'"
    tables: list[TablePlan | AccuracyTablePlan] = [*plan.tables, *sounds.tables]
    for table in tables:
        for row in table.rows:
            if len(row.labels) != len(table.columns):
                yield (
                    f"rows of '{table.title}' must have a label for each of {table.columns}, "
                    f"but one has {row.labels} instead"
                )


__all__ = [
    "AccuracyTablePlan",
    "ComparisonPlan",
    "ConfigError",
    "CurvePlan",
    "GridPlan",
    "LinePlan",
    "Plan",
    "RowPlan",
    "RunPlan",
    "TablePlan",
    "TaggingPlan",
]
