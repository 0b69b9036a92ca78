"""What all tasks of recognition share: the score of a validation set, and the folder of the model."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.decoding.ctc.greedy import greedy
from noisewise.errors import ConfigError
from noisewise.models import AcousticConfig, AcousticModel
from noisewise.models.ctc import ctc_loss
from noisewise.scoring.words import score
from noisewise.text.normalise import fitting
from noisewise.text.tokenizer import Tokenizer
from noisewise.training.task import Task

CARD = "# A noisewise model\n\nWritten by `noisewise train`; metrics and recipe stand in `config.json`.\n"


class Scorer:
    """Greedy error rates and the CTC loss, batch after batch."""

    def __init__(self, tokenizer: Tokenizer, hop: int):
        """`hop` is in samples at 16 kHz."""
        self.tokenizer = tokenizer
        self.frame_seconds = hop / 16_000
        self.references: list[str] = []
        self.hypotheses: list[str] = []
        self.total = 0.0

    def add(self, batch: Batch, log_probs: Tensor, frames: Tensor) -> None:
        """Take in a batch. (B, F, V), (B,)"""
        if batch.tokens is not None and batch.token_lengths is not None:
            self.total += float(ctc_loss(log_probs, frames, batch.tokens, batch.token_lengths).sum())
        found = greedy(log_probs, frames, self.tokenizer, self.frame_seconds)
        self.references += batch.texts
        self.hypotheses += [hypothesis.text for hypothesis in found]

    def metrics(self) -> dict[str, float]:
        """Word and character error rate, and the loss per utterance."""
        result = score(self.references, self.hypotheses, normaliser=fitting(self.tokenizer.symbols))
        return {"wer": result.wer, "cer": result.cer, "ctc": self.total / max(len(self.references), 1)}

    def examples(self, most: int = 4) -> list[tuple[str, str]]:
        """References and hypotheses of a few utterances, evenly spaced."""
        chosen = range(0, len(self.references), max(1, len(self.references) // most))
        return [(self.references[at], self.hypotheses[at]) for at in chosen][:most]


class RecognitionTask(Task):
    """A recogniser that learns transcripts; its encoder may begin later than the rest."""

    criterion = "wer"
    """The metric that chooses the best checkpoint; lower is better."""
    model: AcousticModel

    def __init__(self, model: AcousticModel, tokenizer: Tokenizer, frozen_start: int = 0):
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.frozen_start = frozen_start

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Parameters that do not learn at this step."""
        return list(self.model.encoder.parameters()) if step < self.frozen_start else []

    def release(self, folder: Path, config: AcousticConfig, about: dict[str, Any]) -> None:
        """Write the model as a folder that `transcribe` loads."""
        release(folder, self.model, config, self.tokenizer, about)


def spoken(batch: Batch) -> tuple[Tensor, Tensor]:
    """The tokens of a batch and how many there are. (B, L), (B,)

    Raises:
        ConfigError: there are none.
    """
    if batch.tokens is None or batch.token_lengths is None:
        raise ConfigError("`batch.tokens` must be given, but is None; build the loader with the tokenizer")
    return batch.tokens, batch.token_lengths


def release(
    folder: Path, model: AcousticModel, config: AcousticConfig, tokenizer: Tokenizer, about: dict[str, Any]
) -> None:
    """Write a recogniser as a folder that `transcribe` loads."""
    model_folder.save(folder, model, config, tokenizer, card=CARD, about=about)
