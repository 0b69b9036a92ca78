"""Language modelling: the next token of text; validation is perplexity."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import config
from noisewise.errors import ConfigError
from noisewise.models.lm import UNKNOWN, TransformerLM, TransformerLMConfig
from noisewise.tasks.inputs import TaskInputs
from noisewise.text.vocabulary import Vocabulary
from noisewise.training.task import Loss, Task

CARD = (
    "# A language model\n\nWritten by `noisewise train`; metrics and recipe stand in `config.json`. "
    "`noisewise lm score` measures it, `noisewise transcribe --lm` uses it.\n"
)


@config
class LanguageModellingTaskConfig:
    """The next token of text."""

    model_types: ClassVar = (TransformerLM,)
    kind: Literal["language_modelling"] = "language_modelling"

    def build(self, model: TransformerLM, inputs: TaskInputs) -> "LanguageModellingTask":
        """The task, over a model that it suits."""
        return LanguageModellingTask(self, model, inputs.words())


class LanguageModellingTask(Task):
    """Sentences, each token expected from those before it."""

    criterion = "perplexity"

    def __init__(self, config: LanguageModellingTaskConfig, model: TransformerLM, vocabulary: Vocabulary):
        super().__init__()
        self.config = config
        self.model = model
        self.vocabulary = vocabulary

    def forward(self, batch: Batch) -> Loss:
        """-ln P summed over tokens and ends; its weight is their number."""
        tokens, lengths = _tokens(batch)
        total = self.model.loss(tokens, lengths).sum()
        return Loss(total, float((lengths - 1).sum()), {"cross_entropy": total.detach()})

    @torch.inference_mode()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Perplexity per token, ends included; cross entropy in nats; the share of tokens out of the vocabulary."""
        self.eval()
        total = count = unknown = 0.0
        for batch in batches:
            tokens, lengths = _tokens(batch)
            total += float(self.model.loss(tokens, lengths).sum())
            count += float((lengths - 1).sum())
            unknown += float((tokens[:, 1:] == UNKNOWN).sum())
        self.train()
        mean = total / max(count, 1.0)
        return {"perplexity": math.exp(min(mean, 700.0)), "cross_entropy": mean, "unknown": unknown / max(count, 1.0)}

    def release(self, folder: Path, config: TransformerLMConfig, about: dict[str, Any]) -> None:
        """Write the model as a folder that `--lm` takes."""
        model_folder.save(folder, self.model, config, self.vocabulary, card=CARD, about=about)


def _tokens(batch: Batch) -> tuple[Tensor, Tensor]:
    if batch.tokens is None or batch.token_lengths is None:
        raise ConfigError("`batch.tokens` must be given, but is None; train a language model on data of kind text")
    return batch.tokens, batch.token_lengths
