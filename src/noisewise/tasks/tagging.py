"""Labels of sounds: fine-tuning CAT, training it from scratch, or a linear probe of what it has learned."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import config
from noisewise.errors import ConfigError
from noisewise.models.cat.tagger import CATTagger, CATTaggerConfig, layer_scale
from noisewise.scoring.tagging import bootstrap, hits, score
from noisewise.scoring.words import Interval
from noisewise.tasks.inputs import TaskInputs
from noisewise.tasks.representation import measured
from noisewise.training.task import Loss, Task

CARD = "# A tagger\n\nWritten by `noisewise train`; its classes stand in `labels.txt`, metrics in `config.json`.\n"


@config
class TaggingTaskConfig:
    """Fine-tuning; what the loss is, mixup, masks and whether the encoder is frozen stand in the model."""

    model_types: ClassVar = (CATTagger,)
    kind: Literal["tagging"] = "tagging"
    layer_decay: float = 1.0
    """Factor on the learning rate from each layer to the one below it (the code: 0.65)."""
    slow_stem: bool = False
    """Whether the stem is slowed as well, below the lowest layer; the code leaves it at the full rate."""
    frozen_start: int = 0
    """Steps in the beginning in which the head alone learns; `model.frozen` is a probe to the end."""
    measured_clips: int = 0
    """Clips whose log-mel values give the model its mean and deviation before the first step; 0 leaves those that it
    has, which are those of the pre-training where it starts from one."""

    def build(self, model: CATTagger, inputs: TaskInputs) -> "TaggingTask":
        """The task, over a model that it suits."""
        return TaggingTask(self, model, inputs.labels)


@dataclass(frozen=True)
class _Scored:
    """Clips with their scores."""

    scores: Tensor
    """Probabilities. (N, K)"""
    labels: Tensor
    """(N, K)"""
    ids: list[str]
    loss: float
    """Mean over clips."""


class TaggingTask(Task):
    """Clips and their labels."""

    criterion = "error"
    """1 less accuracy, or 1 less mean average precision where clips have any number of labels."""
    needs_text = False

    def __init__(self, config: TaggingTaskConfig, model: CATTagger, labels: Sequence[str]):
        super().__init__()
        self.config = config
        self.model = model
        self.labels = list(labels)
        self.longest = 0
        """Samples of the longest clip of validation: `Tagger` processes longer recordings in windows of that."""

    def initialise(self, batches: Iterable[Batch]) -> None:
        """Measure the corpus, if asked to."""
        if self.config.measured_clips:
            self.model.normalise_by(*measured(batches, self.config.measured_clips, self.model.encoder.config))

    def forward(self, batch: Batch) -> Loss:
        """Binary or categorical cross-entropy summed over clips; its weight is the number of clips."""
        losses = self.model.loss(batch.waveform, batch.lengths, self._labels(batch))
        return Loss(losses.sum(), float(len(batch)))

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Parameters that do not learn at this step."""
        return list(self.model.encoder.parameters()) if step < self.config.frozen_start else []

    def lr_scale(self, name: str) -> float:
        """Layer decay."""
        layers = self.model.encoder.config.layers
        name = name.removeprefix("model.")
        return layer_scale(name, layers, self.config.layer_decay, stem=self.config.slow_stem)

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Accuracy where each clip has one label, mean average precision, d-prime, and the loss per clip.

        Raises:
            EvaluationError: no clip has a label.
        """
        return self._metrics(self._scored(batches))

    @torch.no_grad()
    def test(self, batches: Iterable[Batch]) -> dict[str, Any]:
        """The metrics of `validate`, the interval of the one that counts over resampled clips, and for clips of one
        label which were right."""
        scored = self._scored(batches)
        found: dict[str, Any] = {
            "metrics": self._metrics(scored),
            "interval": asdict(self._interval(scored)),
            "ids": scored.ids,
        }
        if self.model.config.labels == "one":
            found["right"] = [int(right) for right in hits(scored.scores, scored.labels)]
            found["predicted"] = [self.labels[place] for place in scored.scores.argmax(dim=1).tolist()]
        return found

    def _scored(self, batches: Iterable[Batch]) -> _Scored:
        self.eval()
        total, ids = 0.0, list[str]()
        scores, held = list[Tensor](), list[Tensor]()
        for batch in batches:
            labels = self._labels(batch)
            total += float(self.model.loss(batch.waveform, batch.lengths, labels).sum())
            scores.append(self.model.probabilities(batch.waveform, batch.lengths).cpu())
            held.append(labels.cpu())
            ids += batch.ids
            self.longest = max(self.longest, int(batch.lengths.max()))
        self.train()
        return _Scored(torch.cat(scores), torch.cat(held), ids, total / len(ids))

    def _metrics(self, scored: _Scored) -> dict[str, float]:
        result = score(scored.scores, scored.labels)
        metrics = {
            "mean_average_precision": result.mean_average_precision, "d_prime": result.d_prime, "loss": scored.loss,
            "accuracy": math.nan if result.accuracy is None else result.accuracy,
        }  # fmt: skip
        return {
            "error": 1 - metrics[self._counts],
            **{name: value for name, value in metrics.items() if math.isfinite(value)},
        }

    def _interval(self, scored: _Scored) -> Interval:
        return bootstrap(scored.scores, scored.labels, self._counts)

    @property
    def _counts(self) -> Literal["mean_average_precision", "accuracy"]:
        return "mean_average_precision" if self.model.config.labels == "many" else "accuracy"

    def release(self, folder: Path, config: CATTaggerConfig, about: dict[str, Any]) -> None:
        """Write the model as a folder that gives labels."""
        if self.longest:
            about = {**about, "window_seconds": self.longest / 16_000}
        model_folder.save(folder, self.model, config, None, card=CARD, about=about, labels=self.labels)

    def _labels(self, batch: Batch) -> Tensor:
        if batch.labels is None:
            raise ConfigError("`batch.labels` must be given, but is None; build the loader with the classes")
        odd = [name for name, held in zip(batch.ids, batch.labels.sum(dim=1).tolist(), strict=True) if held != 1]
        if odd and self.model.config.labels == "one":
            raise ConfigError(
                f"each clip must have one label, but '{odd[0]}' has none or several; set model.labels=many, or filter "
                "the manifest"
            )
        return batch.labels
