"""Recognition by CTC: the loss is the sum over alignments, validation is the word error rate."""

from collections.abc import Iterable
from typing import ClassVar, Literal

import torch

from noisewise.batch import Batch
from noisewise.config import config
from noisewise.models.ctc import CTC, ctc_loss
from noisewise.tasks.inputs import TaskInputs
from noisewise.tasks.recognition import RecognitionTask, Scorer, spoken
from noisewise.text.tokenizer import Tokenizer
from noisewise.training.task import Loss


@config
class CTCTaskConfig:
    """Recognition by CTC."""

    model_types: ClassVar = (CTC,)
    kind: Literal["ctc"] = "ctc"
    frozen_start: int = 0
    """Steps in the beginning in which only the head learns (wav2vec 2.0: freeze_finetune_updates)."""

    def build(self, model: CTC, inputs: TaskInputs) -> "CTCTask":
        """The task, over a model that it suits."""
        return CTCTask(self, model, inputs.tokenizer)


class CTCTask(RecognitionTask):
    """Transcripts as targets."""

    model: CTC

    def __init__(self, config: CTCTaskConfig, model: CTC, tokenizer: Tokenizer):
        super().__init__(model, tokenizer, config.frozen_start)
        self.config = config

    def forward(self, batch: Batch) -> Loss:
        """CTC loss summed over utterances; its weight is the number of utterances (specs A.9)."""
        tokens, counts = spoken(batch)
        log_probs, frames = self.model.log_probs(batch.waveform, batch.lengths)
        losses = ctc_loss(log_probs, frames, tokens, counts)
        return Loss(losses.sum(), float(len(batch)), {"ctc": losses.detach().sum()})

    @torch.inference_mode()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Greedy word and character error rate, and the loss per utterance."""
        self.eval()
        scorer = Scorer(self.tokenizer, self.model.hop)
        for batch in batches:
            scorer.add(batch, *self.model.log_probs(batch.waveform, batch.lengths))
        self.train()
        self.examples = scorer.examples()
        return scorer.metrics()
