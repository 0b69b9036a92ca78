"""The outcome of a grid as one JSON file, `noisewise-grid-1` (docs/evaluation.md)."""

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, cast

from noisewise.config import parse
from noisewise.errors import ConfigError, EvaluationError
from noisewise.files import replaced

FORMAT = "noisewise-grid-1"


@dataclass(frozen=True)
class Row:
    """One condition. Rates are fractions: 0.1 is 10 %."""

    noise_type: str | None
    """None for clean speech."""
    snr_db: float | None
    wer: float
    """Corpus word error rate, (S + D + I) / words."""
    cer: float
    ci: list[float]
    """Low and high end of the confidence interval of `wer`."""
    S: int
    """Substituted words."""
    D: int
    """Deleted words."""
    I: int  # noqa: E741 - the name every table of word errors uses
    """Inserted words."""
    words: int
    """Words of the references."""
    mean_utterance_wer: float
    failures: int
    """Utterances on which the recogniser failed; they count as heard empty."""
    scaled: int
    """Mixtures above full scale, scaled down where 16-bit samples are needed."""
    mixture_sha256: str
    """Of what was heard; equal for recognisers that heard the same mixtures."""


@dataclass(frozen=True)
class Average:
    """Mean over cells."""

    wer: float
    cer: float
    ci: list[float]
    mean_utterance_wer: float
    cells: int
    noise_types: list[str]


@dataclass(frozen=True)
class Bootstrap:
    """How the confidence intervals were made."""

    unit: str
    samples: int
    level: float = 0.95


@dataclass(frozen=True)
class PerUtterance:
    """Errors of each utterance, for comparisons in pairs; the lists run over the utterances."""

    ids: list[str]
    speakers: list[str]
    words: list[int]
    errors: dict[str, list[int]]
    """Condition (`clean`, `traffic@5`) to edits."""
    references: list[str] | None = None
    """What was said, as in the manifest; left out when transcripts are not wanted."""
    hypotheses: dict[str, list[str]] | None = None
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    """Condition to utterance id to the reason."""


@dataclass(frozen=True)
class Skipped:
    """An utterance that could not be used, in no cell."""

    id: str
    reason: str


class CellRow(Protocol):
    """The rates of one condition."""

    @property
    def noise_type(self) -> str | None:
        """None for the clean test set."""

    @property
    def snr_db(self) -> float | None:
        """Or the level of a degradation."""

    @property
    def failures(self) -> int:
        """Recordings on which the listener failed."""


RowT = TypeVar("RowT", bound=CellRow)


class GridFile(Generic[RowT]):
    """A result with a row for each condition, as a JSON file of a `FORMAT`; its classes are dataclasses."""

    FORMAT: ClassVar[str]
    clean: RowT
    cells: list[RowT]

    def described(self, **values: Any) -> Self:
        """A copy with other values, such as `command`."""
        found: Self = replace(cast(Any, self), **values)
        return found

    @property
    def failures(self) -> int:
        """Recordings on which the listener failed, over all conditions."""
        return sum(row.failures for row in (self.clean, *self.cells))

    def cell(self, noise_type: str, snr_db: float) -> RowT:
        """The cell of a noise type and an SNR.

        Raises:
            KeyError: there is none.
        """
        for row in self.cells:
            if (row.noise_type, row.snr_db) == (noise_type, snr_db):
                return row
        raise KeyError(f"{noise_type}@{snr_db:g}")

    def save(self, path: str | Path) -> None:
        """Write the JSON file, whole or not at all."""
        with replaced(Path(path)) as file:
            file.write(as_json({"format": self.FORMAT, **asdict(cast(Any, self))}) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a JSON file.

        Raises:
            EvaluationError: it is missing, or not such a result.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EvaluationError(f"`{path}` must be a JSON file, but cannot be read: {error}") from error
        found = values.pop("format", None) if isinstance(values, dict) else None
        if found != cls.FORMAT:
            raise EvaluationError(f"`{path}` must have the format {cls.FORMAT}, but has {found!r} instead")
        try:
            return parse(cls, values)
        except ConfigError as error:
            raise EvaluationError(f"`{path}` must be a whole result, but is not: {error}") from error


@dataclass(frozen=True)
class GridResult(GridFile[Row]):
    """All that is known after a grid."""

    FORMAT = FORMAT

    normaliser: str
    seed: int
    snr_db: list[float]
    noise_types: list[str]
    utterances: int
    speakers: int
    seconds: float
    """Duration of the clean speech."""
    clean: Row
    cells: list[Row]
    averages: dict[str, Average]
    """`type_a`, `type_b`, `all`; the same with `_above_0_db`; `all@5` for each SNR; and each type."""
    bootstrap: Bootstrap
    per_utterance: PerUtterance
    manifest: str = ""
    noise: str | None = None
    recogniser: str = ""
    recogniser_details: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    command: str = ""
    """Rebuilds the file."""
    axis: Literal["snr_db", "level"] = "snr_db"
    """What `snr_db` of a cell is: a ratio, or the level of the degradation that `noise_type` names."""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, dict[str, str]]:
        """Condition to utterance id to why the recogniser failed on it."""
        return self.per_utterance.failures

    def without_transcripts(self) -> "GridResult":
        """A copy that keeps the error counts of each utterance, not the texts."""
        return replace(self, per_utterance=replace(self.per_utterance, references=None, hypotheses=None))


def as_json(values: dict[str, Any]) -> str:
    """Indented JSON with lists of plain numbers on one line, and numbers to six places."""
    text = json.dumps(_rounded(values), indent=1, ensure_ascii=False)
    return re.sub(r"\[\n([\d\s.,e+-]*)\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
