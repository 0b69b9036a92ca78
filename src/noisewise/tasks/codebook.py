"""Codebook learning, stage 2 of Wav2code (Sec. II-B, Eq. 10)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import config
from noisewise.errors import NoisewiseError
from noisewise.layers.codebook import code_perplexity, usage
from noisewise.layers.masking import valid_mask
from noisewise.models.wav2code.codebook_learning import (
    CodebookLearning,
    CodebookLearningConfig,
    CodebookOutput,
    Reduction,
)
from noisewise.tasks.inputs import TaskInputs
from noisewise.training.task import Loss, Task


@config
class CodebookTaskConfig:
    """Eq. 10 and what it needs to be stable."""

    model_types: ClassVar = (CodebookLearning,)
    kind: Literal["codebook"] = "codebook"
    commitment: float = 0.25
    """beta of Eq. 10, on the term that moves the encoder."""
    reduction: Reduction = "mean"
    """Reduction over the width of a frame. Not specified by the paper; Adam makes both alike but for weight decay and
    clipping."""
    initialisation: Literal["kmeans", "data", "uniform"] = "kmeans"
    """Initial codes. Not specified by the paper; the usual U(-1/N, 1/N) lies at the origin, where no frame is."""
    initial_frames: int = 20_000
    """Frames that k-means looks at, at least."""
    restart_below: float = 0.03
    """A code used less than this share of even use moves to a random frame; 0 for never. Not specified by
    the paper; without it, codes die."""
    restart_every: int = 50
    """Steps between such moves."""
    freeze_encoder: bool = False
    """Whether only the codebook learns. The paper trains both."""
    encoder_lr_scale: float = 1.0
    """Factor on the encoder's learning rate. The paper names one rate for both."""
    regularise: bool = False
    """Whether the encoder's masks, dropout and layer drop are on. Not specified by the paper; Fig. 2(a) shows
    none."""
    collapse_ratio: float = 0.01
    """The run stops when the variance of Z_c falls below this share of its first value; 0 for never."""

    def build(self, model: CodebookLearning, inputs: TaskInputs) -> "CodebookTask":
        """The task, over a model that it suits."""
        return CodebookTask(self, model)


class CodebookCollapse(NoisewiseError):
    """Encoder and codebook have met in one point."""


class CodebookTask(Task):
    """Clean speech and its nearest codes; no transcript is needed."""

    criterion = "unexplained"
    """Share of the variance of Z_c that the codes leave. The loss itself falls when everything shrinks to a point."""
    needs_text = False
    first_variance: Tensor

    def __init__(self, config: CodebookTaskConfig, model: CodebookLearning):
        super().__init__()
        self.config = config
        self.model = model
        self.step = 0
        self.register_buffer("first_variance", torch.zeros(()))
        if config.freeze_encoder:
            model.encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "CodebookTask":
        """As every module; the encoder stays in evaluation mode unless it is to be regularised."""
        super().train(mode)
        if mode and not self.config.regularise:
            self.model.encoder.eval()
        return self

    @torch.no_grad()
    def initialise(self, batches: Iterable[Batch]) -> None:
        """Put the codes among the frames of the first batches, and remember how much these vary."""
        self.model.encoder.eval()
        found: list[Tensor] = []
        for batch in batches:
            output = self.model.encoder(batch.waveform, batch.lengths)
            found.append(output.features[valid_mask(output.lengths, output.features.size(1))])
            if sum(len(frames) for frames in found) >= max(self.config.initial_frames, 2 * self.model.codebook.size):
                break
        frames = torch.cat(found)
        self.model.codebook.initialise(frames, self.config.initialisation)
        self.first_variance.copy_(frames.var(dim=0).mean())
        self.train()

    def begin(self, step: int) -> None:
        """Remember the step: dead codes move now and then."""
        self.step = step

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Nothing is frozen for a time only."""
        return []

    def lr_scale(self, name: str) -> float:
        """The encoder may learn slower than the codes."""
        return self.config.encoder_lr_scale if name.startswith("model.encoder.") else 1.0

    def forward(self, batch: Batch) -> Loss:
        """Eq. 10 times the frames; its weight is the number of frames.

        Raises:
            CodebookCollapse: the representations hardly vary any more.
        """
        output = self.model(batch.waveform, batch.lengths)
        count = float(output.lengths.sum())
        terms = self._terms(output)
        total = (terms["reconstruction"] + self.config.commitment * terms["commitment"]) * count
        with torch.no_grad():
            monitors = self._monitors(output)
            self._watch(float(monitors["variance"]))
            if self.training:
                self._keep_alive(output)
        return Loss(total, count, {name: value.detach() * count for name, value in {**terms, **monitors}.items()})

    def _terms(self, output: CodebookOutput) -> dict[str, Tensor]:
        reduction = self.config.reduction
        return {
            "reconstruction": self.model.codebook_loss(output, reduction),
            "commitment": self.model.commitment_loss(output, reduction),
        }

    def _monitors(self, output: CodebookOutput) -> dict[str, Tensor]:
        valid = valid_mask(output.lengths, output.ids.size(1))
        size = self.model.codebook.size
        frames = output.representations[valid]
        return {
            "perplexity": code_perplexity(output.ids, size, valid),
            "usage": usage(output.ids, size, valid),
            "variance": frames.var(dim=0).mean(),
            "norm": frames.norm(dim=-1).mean(),
        }

    def _watch(self, variance: float) -> None:
        first = float(self.first_variance)
        if first > 0 and variance < self.config.collapse_ratio * first:
            raise CodebookCollapse(
                f"the codebook has collapsed at step {self.step}: the variance of Z_c is {variance:.2e}, and was "
                f"{first:.2e} in the beginning. Eq. 10 is least when every frame is the same vector and one code lies "
                "on it, and nothing else in stage 2 holds the encoder back. Freeze it (task.freeze_encoder=true), "
                "slow it (task.encoder_lr_scale=0.01), or lower optimizer.lr"
            )

    def _keep_alive(self, output: CodebookOutput) -> None:
        """Count the codes of the batch; now and then move those that nobody uses."""
        codebook, config = self.model.codebook, self.config
        valid = valid_mask(output.lengths, output.ids.size(1))
        codebook.observe(output.ids, valid)
        if config.restart_below > 0 and self.step > 0 and self.step % config.restart_every == 0:
            codebook.restart(output.representations[valid], config.restart_below / codebook.size)

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Terms of Eq. 10 and use of the codes over the whole validation set."""
        self.eval()
        size, dim = self.model.codebook.size, self.model.encoder.dim
        sums: dict[str, float] = {}
        ids: list[Tensor] = []
        moments = torch.zeros(3, dim, dtype=torch.float64)  # of Z_c, its square, and the square of what codes leave
        for batch in batches:
            output = self.model(batch.waveform, batch.lengths)
            valid = valid_mask(output.lengths, output.ids.size(1))
            frames, ids = output.representations[valid].double(), [*ids, output.ids[valid]]
            left = frames - output.quantized[valid].double()
            moments += torch.stack([each.sum(dim=0) for each in (frames, frames.square(), left.square())]).cpu()
            for name, value in self._terms(output).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(frames)
        self.train()
        chosen = torch.cat(ids)
        mean, square, left_over = moments / max(len(chosen), 1)
        variance = float((square - mean.square()).mean())
        return {
            **{name: value / max(len(chosen), 1) for name, value in sums.items()},
            "unexplained": float(left_over.mean()) / max(variance, 1e-12),
            "variance": variance,
            "perplexity": float(code_perplexity(chosen, size)),
            "usage": float(usage(chosen, size)),
        }

    def release(self, folder: Path, config: CodebookLearningConfig, about: dict[str, Any]) -> None:
        """Write encoder and codebook as a folder that stage 3 takes as its teacher."""
        card = "# A codebook of clean speech\n\nWritten by `noisewise train`; stage 3 takes it as `task.teacher`.\n"
        model_folder.save(folder, self.model, config, None, card=card, about=about)
