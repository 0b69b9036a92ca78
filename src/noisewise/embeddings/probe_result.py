"""What probes of stores found, as JSON and as a table."""

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
    """One fold as the test set."""

    fold: str
    score: float
    strength: float
    """Penalty, or number of neighbours, that the held-out part chose."""
    held_out: str
    """The fold that chose it, or "drawn"."""
    train: int
    test: int


@dataclass(frozen=True)
class Probe:
    """What a probe of one store found."""

    store: str
    encoder: str
    probe: Kind
    metric: Metric
    score: float
    """Over all test clips, each scored once, by the probe that has not seen its fold."""
    low: float
    high: float
    """95 % bootstrap interval over clips, or groups of them."""
    folds: list[FoldScore]
    clips: int
    left_out: int


@dataclass
class Probes:
    """Probes of several stores on the same labels."""

    probes: list[Probe]
    about: dict[str, Any] = field(default_factory=dict)
    """Labels, columns, seed, versions and command."""

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
