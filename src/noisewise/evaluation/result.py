"""The outcome of an evaluation, of words and of tags alike, as JSON: `noisewise-grid-2` (docs/guides/evaluation.md)."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from noisewise.config import parse
from noisewise.errors import EvaluationError
from noisewise.evaluation import format_1
from noisewise.evaluation.conditions import CLEAN, Condition, degradations, noise_types, snrs_db
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.systems.protocol import CacheUse
from noisewise.files import read_json, replaced
from noisewise.safe_text import RUN, masked, terminal

FORMAT = "noisewise-grid-2"
COUNTS = ("S", "D", "I", "words")
"""Names in the counts of a row of words."""
MOST_WORDS = 2**31
"""Bound of the number of words, and of errors, of an item."""


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
    nll: dict[str, Rate] | None = None
    """Negative log-likelihood of the references in nats per token, by CTC and by attention; none where it was not asked
    for."""


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
    columns: dict[str, list[str]] = field(default_factory=dict)
    """Column of the manifest to the value of each item, empty where it has none: what subgroups and blocks are of."""


@dataclass(frozen=True)
class Threshold:
    """The signal-to-noise ratio at which an error rate crosses a level."""

    snr_db: float | None
    """dB; none where the level is not crossed between the ratios that were measured."""
    ci: list[float] | None
    """Low and high end of the confidence interval in dB, within the ratios that were measured: an end at the lowest or
    highest of them may lie beyond it. None where the threshold is undefined."""
    where: Literal["within", "below", "above", "undefined"] = "within"
    """Whether the threshold lies within the ratios that were measured, below the lowest or above the highest; undefined
    where clean speech has no errors that could double."""


@dataclass(frozen=True)
class SnrThresholds:
    """Signal-to-noise ratios at which the word error rate of a noise type crosses two levels."""

    doubled: Threshold
    """Twice the word error rate of clean speech."""
    half: Threshold
    """A word error rate of 50 %."""


@dataclass(frozen=True)
class Subgroup:
    """Error rates of the utterances with one value of a column."""

    items: int
    """Number of utterances or clips."""
    groups: int
    """Number of speakers, or of what the clips were cut from."""
    words: int
    """Number of reference words, or of clips."""
    rates: dict[str, Rate]
    """Condition, or mean over conditions, to its error rate."""


@dataclass(frozen=True)
class SpeechFree:
    """What a recogniser writes for recordings in which nobody speaks; the lists run over the recordings."""

    manifest: str
    """The recordings, as given."""
    recordings: int
    """Number of recordings."""
    seconds: float
    """Duration of all of them in seconds."""
    words_per_minute: Rate
    """Hallucinated words per minute, a number and no fraction."""
    with_words: Rate
    """Share of the recordings with a word."""
    ids: list[str]
    """Ids of the recordings."""
    types: list[str]
    """Noise type of each, empty where the manifest names none."""
    durations: list[float]
    """Seconds of each."""
    words: list[int]
    """Words of each."""
    audio_sha256: str
    """Hash over ids and 16-bit samples of all pieces in order."""
    hypotheses: dict[str, str] | None = None
    """Piece to its hypothesis; left out where transcripts are not wanted."""
    failures: dict[str, str] = field(default_factory=dict)
    """Piece to the reason, where the recogniser failed."""
    skipped: list["Skipped"] = field(default_factory=list)
    """Pieces that could not be used."""


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
    wada_snr_db: list[float] = field(default_factory=list)
    """Signal-to-noise ratio of the clean recordings by WADA in dB: what 5, 50 and 95 % of them are at or below; empty
    in older results."""
    thresholds: dict[str, SnrThresholds] = field(default_factory=dict)
    """Noise type, or `all`, to the SNRs at which the word error rate doubles and reaches 50 %; empty without noise, for
    tags, and in older results."""
    werd: dict[str, Rate] = field(default_factory=dict)
    """Cell, group of corruptions, or `all`, to its word error rate degradation over clean speech, as a fraction; empty
    without a suite."""
    subgroups: dict[str, dict[str, Subgroup]] = field(default_factory=dict)
    """Column of the manifest to its values to their error rates."""
    speech_free: SpeechFree | None = None
    """Hallucinated words; none where they were not measured."""
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
        speech_free = None if self.speech_free is None else replace(self.speech_free, hypotheses=None)
        items = replace(self.per_item, references=references, hypotheses=None)
        return replace(self, per_item=items, speech_free=speech_free)

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
            result = parse(cls, {name: value for name, value in current.items() if name != "format"})
            _check(result)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise EvaluationError(f"a result must be whole, but is not: {error}") from error
        return result

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
            values = read_json(Path(path))
        except (OSError, ValueError) as error:
            raise EvaluationError(f"`{path}` must be a JSON file, but cannot be read: {error}") from error
        try:
            return cls.parse(values)
        except EvaluationError as error:
            raise EvaluationError(f"`{path}`: {error}") from error


def _check(result: GridResult) -> None:
    """Refuse a result whose parts do not fit each other.

    Raises:
        ValueError: a list has another length than there are items, a condition is missing from the grid, from a mean
            or from the lists of items, metrics differ between rows, or a number is out of range.
    """
    keys = [row.condition.key for row in (result.clean, *result.cells)]
    if len(set(keys)) != len(keys) or result.clean.condition != CLEAN:
        raise ValueError("`cells` must be conditions that differ, and none of them clean")
    for name, values in _by_item(result.per_item).items():
        if len(values) != result.items:
            raise ValueError(f"per_item.{name} must have {result.items} items, but has {len(values)}")
    for name, counts in [("words", result.per_item.words), *result.per_item.errors.items()]:
        if not all(0 <= count < MOST_WORDS for count in counts):
            raise ValueError(f"per_item.{name} must hold counts of words")
    for name, by_condition in (("errors", result.per_item.errors), ("hypotheses", result.per_item.hypotheses)):
        if by_condition is not None and not by_condition.keys() >= set(keys):
            raise ValueError(f"per_item.{name} must have all conditions, but has {', '.join(by_condition)}")
    _check_rates(result)
    _check_means(result)
    _check_intervals(result)
    _check_speech_free(result)


def _by_item(items: PerItem) -> dict[str, Sequence[Any]]:
    """The lists over the items, by their names."""
    found: dict[str, Sequence[Any]] = {"ids": items.ids, "groups": items.groups, "words": items.words}
    found |= {f"errors.{key}": each for key, each in items.errors.items()}
    found |= {f"columns.{key}": each for key, each in items.columns.items()}
    found |= {f"hypotheses.{key}": each for key, each in (items.hypotheses or {}).items()}
    return found | ({} if items.references is None else {"references": items.references})


def _check_rates(result: GridResult) -> None:
    for name, one in [*result.rows.items(), *result.averages.items()]:
        if not one.rates.keys() >= result.clean.rates.keys() or not one.rates:
            raise ValueError(f"`{name}` must have the metrics {', '.join(result.clean.rates)}")
        for metric, rate in one.rates.items():
            if len(rate.ci or (0, 0)) != 2 or not all(map(math.isfinite, (rate.value, *(rate.ci or ())))):
                raise ValueError(f"{name}.{metric} must be a number, with two for its interval, but is {rate}")
    for name, row in result.rows.items():
        if result.task == "recognition" and (not row.counts.keys() >= set(COUNTS) or min(row.counts.values()) < 0):
            raise ValueError(f"{name}.counts must hold {', '.join(COUNTS)}, each 0 or more, but is {row.counts}")
        if result.task == "recognition" and row.counts["words"] == 0:
            raise ValueError(f"{name}.counts.words must be 1 or more, but is 0")


def _check_intervals(result: GridResult) -> None:
    """Two ends of every interval beside those of the metrics."""
    free = result.speech_free
    rates = [*result.werd.values(), *(rate for row in result.rows.values() for rate in (row.nll or {}).values())]
    rates += [rate for groups in result.subgroups.values() for one in groups.values() for rate in one.rates.values()]
    rates += [] if free is None else [free.words_per_minute, free.with_words]
    crossed = [each for one in result.thresholds.values() for each in (one.doubled, one.half)]
    for ends in [*(rate.ci for rate in rates), *(one.ci for one in crossed)]:
        if ends is not None and len(ends) != 2:
            raise ValueError(f"an interval must have two ends, but is {ends}")


def _check_means(result: GridResult) -> None:
    """Every level of every noise type, and a mean over each."""
    if missing := {*result.noise_types, *result.degradations} - result.averages.keys():
        raise ValueError(f"`averages` must hold {', '.join(sorted(missing))}")
    pairs = {(row.condition.name, row.condition.value) for row in result.cells if row.condition.kind == "noise"}
    for row in result.cells:
        if row.condition.kind == "clean" or row.condition.value is None or not math.isfinite(row.condition.value):
            raise ValueError(f"`{row.condition.key}` must have a level or a signal-to-noise ratio")
    for kind, snr in product(result.noise_types, result.snrs_db):
        if (kind, snr) not in pairs:
            raise ValueError(f"`cells` must hold {kind}@{snr:g}")
    for name in {"type_a", "type_b", "all"} & result.averages.keys():
        names = result.averages[name].names
        if not names or not {*names} <= {*result.noise_types}:
            raise ValueError(f"`averages.{name}` must be over the noise types, but is over {', '.join(names)}")


def _check_speech_free(result: GridResult) -> None:
    found = result.speech_free
    if found is None:
        return
    sizes = {len(each) for each in (found.ids, found.types, found.durations, found.words)}
    if sizes != {found.recordings} or not all(0 <= count < MOST_WORDS for count in found.words):
        raise ValueError(f"`speech_free` must hold a number of words for each of its {found.recordings} recordings")


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
