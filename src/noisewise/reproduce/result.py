"""What a plan's runs came to, as one JSON file, `noisewise-reproduction-1` (docs/reproduce.md)."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from noisewise.config import ConfigError, parse
from noisewise.evaluation.result import Bootstrap, ResultError, as_json
from noisewise.reproduce.plan import TablePlan
from noisewise.reproduce.sounds import Sounds
from noisewise.whole_file import replaced

FORMAT = "noisewise-reproduction-1"


@dataclass(frozen=True)
class Cell:
    """What one model got wrong under one condition."""

    condition: str
    """`clean`, `traffic@5`."""
    wer: float
    S: int
    D: int
    I: int  # noqa: E741 - as in a grid
    words: int
    failures: int
    """Utterances on which the recogniser failed; they count as heard empty."""


@dataclass(frozen=True)
class Trained:
    """One run with one seed."""

    run: str
    seed: int
    recipe: str
    """The file."""
    recipe_sha256: str
    """Of every value that decides what the run computes."""
    kind: str
    """Of the model."""
    steps: int
    best_step: int
    """At which the validation set chose the model."""
    validation: dict[str, float]
    """Metrics of that model on the validation set."""
    training_seconds: float
    """Time spent stepping."""
    audio_seconds: float
    """Audio seen."""
    parameters: int
    weights_sha256: str
    cells: list[Cell] = field(default_factory=list)
    """Clean speech first; empty for what does not recognise, or has not been measured."""


@dataclass(frozen=True)
class Rate:
    """Mean over seeds of the word error rate of a condition, or of a mean over conditions."""

    wer: float
    ci: tuple[float, float]
    by_seed: list[float]


@dataclass(frozen=True)
class Measured:
    """One run over its seeds."""

    run: str
    seeds: list[int]
    rates: dict[str, Rate]
    """`clean`, each condition, each type, `all@5`, `type_a`, `type_b`, `all`, and those with `_above_0_db`."""


@dataclass(frozen=True)
class Difference:
    """Word error rate of the one less that of the other, mean over seeds: below 0, the one is better."""

    difference: float
    ci: tuple[float, float]
    relative: float | None
    """The difference as a share of the other's rate; None when that is 0."""
    relative_ci: tuple[float, float] | None
    z: float
    p: float
    """Matched pairs of utterances, two-sided."""
    better: int
    """Utterances in which the one makes fewer errors, over all seeds."""
    worse: int
    sign_p: float
    by_seed: list[float] = field(default_factory=list)
    """Differences of single trainings; empty in older files."""


@dataclass(frozen=True)
class Compared:
    """Two runs on the same mixtures, over the seeds that both have."""

    better: str
    than: str
    seeds: list[int]
    differences: dict[str, Difference]
    """`clean`, each type, `type_a`, `type_b`, `all`, and those with `_above_0_db`."""


@dataclass(frozen=True)
class Mixtures:
    """What all runs heard."""

    manifest: str
    noise: str | None
    seed: int
    utterances: int
    speakers: int
    words: int
    seconds: float
    normaliser: str
    noise_types: list[str]
    snr_db: list[float]
    mixtures: dict[str, str]
    """Condition to SHA-256 of what was heard."""


@dataclass(frozen=True)
class Reproduction:
    """All that is known when the runs of a plan are done."""

    title: str
    """`wav2code_mini`."""
    plan: str
    """The file."""
    seeds: list[int]
    """Of the plan."""
    runs: list[Trained]
    tables: list[TablePlan]
    test: Mixtures | None = None
    """None when nothing has been measured."""
    bootstrap: Bootstrap | None = None
    measured: list[Measured] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)
    command: str = ""
    """Rebuilds the file."""
    versions: dict[str, str] = field(default_factory=dict)
    sounds: Sounds | None = None
    """Of taggers."""

    def rates(self, run: str) -> Measured | None:
        """What was measured of a run; None when it was not."""
        return next((one for one in self.measured if one.run == run), None)

    def save(self, path: str | Path) -> None:
        """Write the JSON file, whole or not at all."""
        with replaced(Path(path)) as file:
            file.write(as_json({"format": FORMAT, **asdict(self)}) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Reproduction":
        """Read a JSON file.

        Raises:
            ResultError: it is missing, or not of this format.
        """
        try:
            values: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ResultError(f"`{path}` must be a JSON file, but cannot be read: {error}") from error
        found = values.pop("format", None) if isinstance(values, dict) else None
        if found != FORMAT:
            raise ResultError(f"`{path}` must have the format {FORMAT}, but has {found!r} instead")
        try:
            return parse(cls, values)
        except ConfigError as error:
            raise ResultError(f"`{path}` must be a whole result, but is not: {error}") from error
