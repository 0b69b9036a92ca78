"""What a plan's runs came to, as one JSON file, `noisewise-reproduction-1` (docs/guides/reproduce.md)."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from noisewise.config import parse
from noisewise.errors import ConfigError, EvaluationError
from noisewise.evaluation.result import as_json
from noisewise.experiments.cells import Difference, Rate, Trained
from noisewise.experiments.plan import TablePlan
from noisewise.experiments.tagging import TaggingSummary
from noisewise.files import replaced

FORMAT = "noisewise-reproduction-1"


@dataclass(frozen=True)
class Bootstrap:
    """How the confidence intervals were made."""

    unit: str
    """What was resampled: `utterance`, `speaker`, `hierarchical` or a column of the manifest."""
    samples: int
    """Number of resamples."""
    level: float = 0.95


@dataclass(frozen=True)
class Measured:
    """One run over its seeds."""

    run: str
    seeds: list[int]
    rates: dict[str, Rate]
    """`clean`, each condition, each type, `all@5`, `type_a`, `type_b`, `all`, and those with `_above_0_db`."""


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
    """Test set and mixtures that all runs were measured on."""

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
    """Condition to SHA-256 of its mixtures."""


@dataclass(frozen=True)
class Reproduction:
    """Results of a plan when its runs are done."""

    title: str
    """`wav2code_mini`."""
    plan: str
    """File of the plan."""
    seeds: list[int]
    """Seeds of the plan."""
    runs: list[Trained]
    tables: list[TablePlan]
    test: Mixtures | None = None
    """None when nothing has been measured."""
    bootstrap: Bootstrap | None = None
    measured: list[Measured] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)
    command: str = ""
    """Command that writes the file again."""
    versions: dict[str, str] = field(default_factory=dict)
    sounds: TaggingSummary | None = None
    """Results of taggers."""

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
            EvaluationError: it is missing, or not of this format.
        """
        try:
            values: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EvaluationError(f"`{path}` must be a JSON file, but cannot be read: {error}") from error
        found = values.pop("format", None) if isinstance(values, dict) else None
        if found != FORMAT:
            raise EvaluationError(f"`{path}` must have the format {FORMAT}, but has {found!r} instead")
        try:
            return parse(cls, values)
        except ConfigError as error:
            raise EvaluationError(f"`{path}` must be a whole result, but is not: {error}") from error
