"""The outcome of an evaluation, of words and of tags alike, as JSON: `noisewise-grid-2` (docs/guides/evaluation.md)."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from noisewise.config import parse
from noisewise.errors import ConfigError, EvaluationError
from noisewise.evaluation import format_1
from noisewise.evaluation.conditions import Condition, degradations, noise_types, snrs_db
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.systems.protocol import CacheUse
from noisewise.files import replaced
from noisewise.safe_text import RUN, masked, terminal

FORMAT = "noisewise-grid-2"


@dataclass(frozen=True)
class Rate:
    """The value of a metric as a fraction: 0.1 is 10 %."""

    value: float
    """The rate."""
    ci: list[float] | None = None
    """Low and high end of the confidence interval; none for metrics that are given without one."""


class Rates:
    """What rows and averages share: their metrics."""

    rates: dict[str, Rate]
    """Metric to its value: `wer`, `cer` and `mean_utterance_wer` of words; `accuracy` (where every clip has one label)
    and `mean_average_precision` of tags. Metrics with an interval are those that tables show."""

    def value(self, metric: str) -> float:
        """Value of a metric, a fraction."""
        return self.rates[metric].value

    def ci(self, metric: str) -> tuple[float, float]:
        """Low and high end of the confidence interval of a metric; equal to its value where it has none."""
        low, high = self.rates[metric].ci or [self.value(metric)] * 2
        return low, high

    @property
    def wer(self) -> float:
        """Corpus word error rate, (S + D + I) / words."""
        return self.value("wer")

    @property
    def accuracy(self) -> float:
        """Share of clips whose best class is their label."""
        return self.value("accuracy")


@dataclass(frozen=True)
class Row(Rates):
    """One condition."""

    condition: Condition
    rates: dict[str, Rate]
    """Metric to its value, as in `Rates`."""
    counts: dict[str, int]
    """Word errors `S`, `D` and `I` and reference `words`; empty for tags."""
    failures: int
    """Recordings on which the system failed, scored as empty hypotheses (all deletions) or as lowest where their labels
    are."""
    scaled: int
    """Mixtures above full scale, scaled down where 16-bit samples are needed."""
    mixture_sha256: str
    """Hash over ids and 16-bit samples of all inputs in order; equal for systems that were given the same mixtures."""


@dataclass(frozen=True)
class Average(Rates):
    """Mean over conditions."""

    rates: dict[str, Rate]
    """Metric to its value, as in `Rates`."""
    cells: int
    """Number of conditions."""
    names: list[str]
    """Noise types, or the degradation."""


@dataclass(frozen=True)
class PerItem:
    """Errors of each utterance or clip, for comparisons in pairs; the lists run over the items."""

    ids: list[str]
    """Ids of the utterances or clips."""
    groups: list[str]
    """Speaker of each utterance, or what each clip was cut from; the id where it is not known."""
    words: list[int]
    """Reference words of each utterance; 1 for a clip."""
    errors: dict[str, list[int]]
    """Condition (`clean`, `traffic@5`) to the word errors of each utterance, or to 1 where the best class of a clip is
    none of its labels, else 0."""
    references: list[str] | None = None
    """Reference texts, left out where transcripts are not wanted; or labels of the clips, with ";" between several."""
    hypotheses: dict[str, list[str]] | None = None
    """Condition to the hypotheses, or to the best classes; left out where they are not wanted."""
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    """Condition to id to the reason of the failure."""


@dataclass(frozen=True)
class Skipped:
    """An utterance or clip that could not be used, in no condition."""

    id: str
    """Id of the utterance or clip."""
    reason: str
    """Why it could not be used."""


@dataclass(frozen=True)
class GridResult:
    """Everything about an evaluation of a recogniser or a tagger."""

    task: Literal["recognition", "tagging"]
    config: GridConfig
    """Test set, conditions, seed and bootstrap, without absolute paths."""
    items: int
    """Number of utterances or clips."""
    groups: int
    """Number of speakers, or of what the clips were cut from."""
    seconds: float
    """Duration of the clean test set in seconds."""
    clean: Row
    """The clean test set."""
    cells: list[Row]
    """The conditions beside clean."""
    averages: dict[str, Average]
    """`type_a`, `type_b`, `all`; the same with `_above_0_db`; `all@5` for each SNR; each type or degradation."""
    per_item: PerItem
    normaliser: str = ""
    """Name of the rules under which words were compared; empty for tags."""
    lost: dict[str, dict[str, int]] = field(default_factory=dict)
    """Characters of the `references` and of the `hypotheses` of all conditions that are spoken and yet removed by the
    normaliser, such as digits, and how often each occurs; empty where there are none."""
    classes: int = 0
    """Number of classes of the tagger; 0 for words."""
    system: str = ""
    """Specification of the recogniser or tagger, as given to `noisewise evaluate --model`."""
    system_details: dict[str, str] = field(default_factory=dict)
    """Hash of the weights, versions, address, decoding."""
    cache: CacheUse | None = None
    """File of transcripts that answered in the place of the system, in the run that ended; none without one."""
    skipped: list[Skipped] = field(default_factory=list)
    """Utterances or clips that could not be used."""
    command: str = ""
    """Shell line that rebuilds the file."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of Python and of libraries."""

    @property
    def rows(self) -> dict[str, Row]:
        """Key of each condition (`clean`, `traffic@5`) to its row, clean first."""
        return {row.condition.key: row for row in (self.clean, *self.cells)}

    @property
    def noise_types(self) -> list[str]:
        """Noise types: types A, types B, the others; empty for degradations."""
        return noise_types(row.condition for row in self.cells)

    @property
    def snrs_db(self) -> list[float]:
        """Signal-to-noise ratios in dB, from the lowest; empty for degradations."""
        return snrs_db(row.condition for row in self.cells)

    @property
    def degradations(self) -> list[str]:
        """Degradations, as they were asked for; empty for noise."""
        return degradations(row.condition for row in self.cells)

    @property
    def failures(self) -> int:
        """Number of failures over all conditions."""
        return sum(row.failures for row in (self.clean, *self.cells))

    @property
    def labels_sha256(self) -> str:
        """First twelve digits of the hash of clips, labels and number of classes; empty for words."""
        if self.task == "recognition":
            return ""
        text = json.dumps([self.classes, self.per_item.ids, self.per_item.references])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def cell(self, name: str, value: float) -> Row:
        """The row of a noise type at an SNR, or of a degradation at a level.

        Raises:
            KeyError: there is none.
        """
        for row in self.cells:
            if (row.condition.name, row.condition.value) == (name, value):
                return row
        raise KeyError(f"{name}@{value:g}")

    def without_transcripts(self) -> "GridResult":
        """A copy that keeps the errors of each item and the labels of clips, not references and hypotheses."""
        references = None if self.task == "recognition" else self.per_item.references
        return replace(self, per_item=replace(self.per_item, references=references, hypotheses=None))

    def plain(self) -> dict[str, Any]:
        """Plain values, with the format; `GridResult.parse` undoes it."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def parse(cls, values: Any) -> "GridResult":
        """Read plain values of this format, or of an older one.

        Raises:
            EvaluationError: they have another format, or are not whole.
        """
        found = values.get("format") if isinstance(values, dict) else None
        if found not in (FORMAT, *format_1.FORMATS):
            raise EvaluationError(f"a result must have the format {FORMAT}, but has {found!r} instead")
        try:
            current = format_1.upgraded(values) if found != FORMAT else values
            return parse(cls, {name: value for name, value in current.items() if name != "format"})
        except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise EvaluationError(f"a result must be whole, but is not: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the JSON file, whole or not at all."""
        with replaced(Path(path)) as file:
            file.write(as_json(self.plain()) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "GridResult":
        """Read a JSON file of `noisewise evaluate`, of this format or an older one.

        Raises:
            EvaluationError: it is missing, or not such a result.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise EvaluationError(f"`{path}` must be a JSON file, but cannot be read: {error}") from error
        try:
            return cls.parse(values)
        except EvaluationError as error:
            raise EvaluationError(f"`{path}`: {error}") from error


def as_json(values: dict[str, Any]) -> str:
    """Indented JSON with lists of plain numbers on one line, numbers to six places, and without secrets.

    Names that are not UTF-8 stand in it as `\\udcff`, which JSON reads back.
    """
    text = terminal(json.dumps(_rounded(values), indent=1, ensure_ascii=False))
    return re.sub(r"\[\n([\d\s.,e+-]*)\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, str):
        return masked(value, shortest=RUN)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
