"""Self-supervised pre-training of CAT: predict the teacher, agree with external encoders (docs/papers/cat.md)."""

from collections.abc import Iterable
from dataclasses import field
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import config
from noisewise.errors import NoisewiseError
from noisewise.models.cat.encoder import CATConfig, statistics
from noisewise.models.cat.objective import CATLosses, CATPretraining, CATPretrainingConfig
from noisewise.tasks.external_vectors import ExternalVectors, OnTheFlyConfig
from noisewise.tasks.inputs import TaskInputs
from noisewise.training.task import Loss, Task

CARD = "# A pre-trained CAT\n\nWritten by `noisewise train`; a recipe that fine-tunes takes it as `start_from`.\n"


@config
class RepresentationTaskConfig:
    """Pre-training; weights and schedule of the teacher are the model's `objective`."""

    model_types: ClassVar = (CATPretraining,)
    kind: Literal["representation"] = "representation"
    measured_clips: int = 0
    """Clips whose log-mel values give the model its mean and deviation before the first step; 0 leaves those that it
    has."""
    encoders: dict[str, OnTheFlyConfig] = field(default_factory=dict)
    """External encoders that encode the clips while training, by the names that `model.objective.alignments` give them;
    the vectors of the others come with the batches (`train.embeddings`)."""

    def build(self, model: CATPretraining, inputs: TaskInputs) -> "RepresentationTask":
        """The task, over a model that it suits."""
        return RepresentationTask(self, model)


class RepresentationTask(Task):
    """Sounds and nothing else; neither transcript nor label is needed."""

    criterion = None
    """The loss of a student whose teacher moves says little; the last weights are released, as in the paper's code."""
    needs_text = False

    def __init__(self, config: RepresentationTaskConfig, model: CATPretraining):
        super().__init__()
        self.config = config
        self.model = model
        self.external = ExternalVectors(model.config.alignments, config.encoders)  # neither trained nor saved

    def initialise(self, batches: Iterable[Batch]) -> None:
        """Measure the corpus, if asked to."""
        if self.config.measured_clips:
            self.model.normalise_by(*measured(batches, self.config.measured_clips, self.model.encoder.config))

    def forward(self, batch: Batch) -> Loss:
        """The loss of docs/papers/cat.md summed over clips; its weight is the number of clips."""
        losses = self.model(batch.waveform, batch.lengths, self.external.of(batch))
        return Loss(losses.total.sum(), float(len(batch)), _terms(losses))

    def after_step(self, step: int) -> None:
        """The teacher follows."""
        self.model.update_teacher(step)

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """The same terms under the same masks each time, and how much the vectors of clips differ.

        `spread` is the variance of CLS over the clips, mean over its channels: near 0 all clips look alike.
        """
        self.eval()
        torch.manual_seed(0)
        sums: dict[str, float] = {}
        weight, vectors = 0.0, list[Tensor]()
        for batch in batches:
            loss = self(batch)
            weight += loss.weight
            for name, value in {"loss": loss.total, **loss.terms}.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            vectors.append(self.model.encoder(batch.waveform, batch.lengths).clip.float())
        self.train()
        spread = float(torch.cat(vectors).var(dim=0, correction=0).mean())
        return {**{name: value / max(weight, 1.0) for name, value in sums.items()}, "spread": spread}

    def release(self, folder: Path, config: CATPretrainingConfig, about: dict[str, Any]) -> None:
        """Write the model as a folder that fine-tuning starts from."""
        model_folder.save(folder, self.model, config, None, card=CARD, about=about)


def measured(batches: Iterable[Batch], clips: int, config: CATConfig) -> tuple[float, float]:
    """Mean and deviation of the log-mel values of the first `clips` clips.

    Raises:
        NoisewiseError: they are silent, or all alike.
    """
    each = chain.from_iterable(
        (row[:count] for row, count in zip(batch.waveform, batch.lengths.tolist(), strict=True)) for batch in batches
    )
    mean, deviation = statistics(islice(each, clips), config)
    if deviation <= 0:
        raise NoisewiseError("the clips must differ in their log-mel values, but do not; check the corpus")
    return mean, deviation


def _terms(losses: CATLosses) -> dict[str, Tensor]:
    terms = {"frame": losses.frame, "utterance": losses.utterance, **losses.alignments}
    return {name: value.detach().sum() for name, value in terms.items()}
