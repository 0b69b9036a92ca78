"""The outcome of a grid of a tagger as one JSON file, `noisewise-tagging-grid-1` (docs/tagging.md)."""

from dataclasses import dataclass, field, replace
from typing import Literal

from noisewise.evaluation.result import Bootstrap, GridFile, Skipped


@dataclass(frozen=True)
class Share:
    """A rate as a fraction: 0.1 is 10 %."""

    value: float
    ci: list[float]
    """Low and high end of its confidence interval."""


@dataclass(frozen=True)
class TaggingRow:
    """One condition."""

    noise_type: str | None
    """None for clean clips."""
    snr_db: float | None
    accuracy: Share | None
    """Clips whose best class is theirs; None where clips have several labels."""
    mean_average_precision: Share
    failures: int
    """Clips on which the tagger failed; they count as scored lowest where their labels are."""
    scaled: int
    """As in `noisewise.evaluation.result.Row`."""
    mixture_sha256: str


@dataclass(frozen=True)
class TaggingAverage:
    """Mean over cells."""

    accuracy: Share | None
    mean_average_precision: Share
    cells: int
    noise_types: list[str]


@dataclass(frozen=True)
class PerClip:
    """What became of each clip, for comparisons in pairs; the lists run over the clips."""

    ids: list[str]
    groups: list[str]
    """What clips were cut from, or their id."""
    labels: list[str]
    """As in the manifest, with ";" between several."""
    right: dict[str, list[int]]
    """Condition (`clean`, `traffic@5`) to 1 where the best class is a label of the clip, else 0."""
    best: dict[str, list[str]] | None = None
    """Condition to the best classes; left out when not wanted."""
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    """Condition to clip id to the reason."""


@dataclass(frozen=True)
class TaggingResult(GridFile[TaggingRow]):
    """All that is known after a grid of a tagger; fields that it shares with `GridResult` are explained there."""

    FORMAT = "noisewise-tagging-grid-1"

    seed: int
    snr_db: list[float]
    noise_types: list[str]
    classes: int
    """That the tagger knows; the mean is over those that some clip has."""
    clips: int
    groups: int
    seconds: float
    clean: TaggingRow
    cells: list[TaggingRow]
    averages: dict[str, TaggingAverage]
    bootstrap: Bootstrap
    per_clip: PerClip
    manifest: str = ""
    noise: str | None = None
    recogniser: str = ""
    """The tagger."""
    recogniser_details: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    command: str = ""
    axis: Literal["snr_db", "level"] = "snr_db"
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, dict[str, str]]:
        """Condition to clip id to why the tagger failed on it."""
        return self.per_clip.failures

    def without_transcripts(self) -> "TaggingResult":
        """A copy that says of each clip whether it was right, not what was heard."""
        return replace(self, per_clip=replace(self.per_clip, best=None))
