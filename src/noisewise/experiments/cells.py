"""What a finished run came to: its training and the cells of its grid."""

from dataclasses import dataclass, field


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
