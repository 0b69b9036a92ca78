"""Recognition by CTC: the loss is the sum over alignments, validation is the word error rate."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from noisewise.batch import Batch
from noisewise.config import config
from noisewise.models.ctc import CTC, CTCConfig, ctc_loss
from noisewise.tasks.recognition import Scorer, release
from noisewise.text.tokenizer import Tokenizer
from noisewise.training.task import Loss, Task


@config
class CTCTaskConfig:
    """Recognition by CTC."""

    kind: Literal["ctc"] = "ctc"
    frozen_start: int = 0
    """Steps in the beginning in which only the head learns (wav2vec 2.0: freeze_finetune_updates)."""


class CTCTask(Task):
    """Transcripts as targets."""

    criterion = "wer"
    """The metric that chooses the best checkpoint; lower is better."""

    def __init__(self, config: CTCTaskConfig, model: CTC, tokenizer: Tokenizer):
        super().__init__()
        self.config = config
        self.model = model
        self.tokenizer = tokenizer

    def forward(self, batch: Batch) -> Loss:
        """CTC loss summed over utterances; its weight is the number of utterances (specs A.9)."""
        if batch.tokens is None or batch.token_lengths is None:
            raise ValueError("`batch.tokens` must be given, but is None; build the loader with the tokenizer")
        log_probs, frames = self.model.log_probs(batch.waveform, batch.lengths)
        losses = ctc_loss(log_probs, frames, batch.tokens, batch.token_lengths)
        return Loss(losses.sum(), float(len(batch)), {"ctc": losses.detach().sum()})

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Parameters that do not learn at this step."""
        return list(self.model.encoder.parameters()) if step < self.config.frozen_start else []

    @torch.inference_mode()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Greedy word and character error rate, and the loss per utterance."""
        self.eval()
        scorer = Scorer(self.tokenizer, self.model.hop)
        for batch in batches:
            scorer.add(batch, *self.model.log_probs(batch.waveform, batch.lengths))
        self.train()
        return scorer.metrics()

    def release(self, folder: Path, config: CTCConfig, about: dict[str, Any]) -> None:
        """Write the model as a folder that `transcribe` loads."""
        release(folder, self.model, config, self.tokenizer, about)
