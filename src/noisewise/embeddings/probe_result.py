"""Results of probes of stores, as JSON and as a table."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from noisewise.files import replaced

FORMAT = "noisewise-probes-1"
NAMES = {"accuracy": "accuracy", "mean_average_precision": "mAP"}
Kind = Literal["linear", "knn"]
Metric = Literal["accuracy", "mean_average_precision"]


@dataclass(frozen=True)
class FoldScore:
    """Result with one fold as the test set."""

    fold: str
    """Name of the fold."""
    score: float
    """Score on the fold, from 0 to 1."""
    strength: float
    """Penalty, or number of neighbours, that the held-out part chose."""
    held_out: str
    """Fold that chose the strength, or "drawn" for a random part of the training clips."""
    train: int
    """Number of training clips."""
    test: int
    """Number of test clips."""


@dataclass(frozen=True)
class Probe:
    """Result of a probe of one store."""

    store: str
    """Name of the store."""
    encoder: str
    """Name of the encoder."""
    probe: Kind
    """Kind of the classifier."""
    metric: Metric
    """Metric of the scores."""
    score: float
    """Score over all test clips, each scored once by the probe that was not trained on its fold; from 0 to 1."""
    low: float
    """Lower end of the 95 % bootstrap interval over clips, or groups of them."""
    high: float
    """Upper end of that interval."""
    folds: list[FoldScore]
    """Result of each test fold."""
    clips: int
    """Number of test clips."""
    left_out: int
    """Number of clips of the manifest without a vector."""


@dataclass
class Probes:
    """Probes of several stores on the same labels."""

    probes: list[Probe]
    """Results, in the order of the stores."""
    about: dict[str, Any] = field(default_factory=dict)
    """Labels, columns, seed, versions and command, as plain values."""

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        values = {"format": FORMAT, **self.about, "probes": [asdict(each) for each in self.probes]}
        with replaced(path) as file:
            file.write(json.dumps(values, indent=1) + "\n")

    def markdown(self) -> str:
        """One row a probe, in percent."""
        lines = ["| store | encoder | probe | score (%) | by fold |", "| --- | --- | --- | ---: | --- |"]
        for each in self.probes:
            score = f"{NAMES[each.metric]} {100 * each.score:.1f} ({100 * each.low:.1f} to {100 * each.high:.1f})"
            folds = " ".join(f"{100 * fold.score:.1f}" for fold in each.folds)
            lines.append(f"| {each.store} | {each.encoder} | {each.probe} | {score} | {folds} |")
        return "\n".join(lines) + "\n"
