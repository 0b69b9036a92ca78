"""Recognition by CTC: the loss is the sum over alignments, validation is the word error rate."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from noisewise import model_folder
from noisewise.batch import Batch
from noisewise.config import config
from noisewise.decoding.greedy import greedy
from noisewise.models.ctc import CTC, CTCConfig, ctc_loss
from noisewise.scoring.words import score
from noisewise.text.tokenizer import CharacterTokenizer
from noisewise.training.task import Loss


@config
class CTCTaskConfig:
    """Recognition by CTC."""

    kind: Literal["ctc"] = "ctc"
    frozen_start: int = 0
    """Steps in the beginning in which only the head learns (wav2vec 2.0: freeze_finetune_updates)."""


class CTCTask(nn.Module):
    """Transcripts as targets."""

    criterion = "wer"
    """The metric that chooses the best checkpoint; lower is better."""

    def __init__(self, config: CTCTaskConfig, model: CTC, tokenizer: CharacterTokenizer):
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
        references: list[str] = []
        hypotheses: list[str] = []
        total = 0.0
        for batch in batches:
            log_probs, frames = self.model.log_probs(batch.waveform, batch.lengths)
            if batch.tokens is not None and batch.token_lengths is not None:
                total += float(ctc_loss(log_probs, frames, batch.tokens, batch.token_lengths).sum())
            found = greedy(log_probs, frames, self.tokenizer, self.model.hop / 16_000)
            references += batch.texts
            hypotheses += [hypothesis.text for hypothesis in found]
        self.train()
        result = score(references, hypotheses)
        return {"wer": result.wer, "cer": result.cer, "ctc": total / max(len(references), 1)}

    def release(self, folder: Path, config: CTCConfig, about: dict[str, Any]) -> None:
        """Write the model as a folder that `transcribe` loads."""
        card = "\n".join(
            ["# A noisewise model", "", "Written by `noisewise train`; metrics and recipe stand in `config.json`.", ""]
        )
        model_folder.save(folder, self.model, config, self.tokenizer, card=card, about=about)
