"""Results of a finished run: its training and the cells of its grid."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """Word errors of one model under one condition."""

    condition: str
    """Name of the condition: `clean`, `traffic@5`."""
    wer: float
    """Word error rate."""
    S: int
    D: int
    I: int  # noqa: E741 - as in a grid
    words: int
    failures: int
    """Number of utterances on which the recogniser failed; they count as empty hypotheses."""


@dataclass(frozen=True)
class Trained:
    """One run with one seed."""

    run: str
    seed: int
    recipe: str
    """File of the recipe."""
    recipe_sha256: str
    """Hash of every value that decides what the run computes (see `recipe_hash`)."""
    kind: str
    """Kind of the model."""
    steps: int
    best_step: int
    """Step at which the validation set chose the model."""
    validation: dict[str, float]
    """Metrics of the chosen model on the validation set."""
    training_seconds: float
    """Time spent stepping."""
    audio_seconds: float
    """Seconds of audio that the model was trained on."""
    parameters: int
    weights_sha256: str
    cells: list[Cell] = field(default_factory=list)
    """Results on clean speech, then in noise; empty for models that do not transcribe, or have not been measured."""


@dataclass(frozen=True)
class Rate:
    """Mean over seeds of the word error rate of a condition, or of a mean over conditions."""

    wer: float
    ci: tuple[float, float]
    by_seed: list[float]


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
