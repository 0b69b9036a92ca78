"""Contrastive pre-training: wav2vec 2.0 on its input, or EW2 on noisy input with clean targets."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import config
from noisewise.errors import ConfigError
from noisewise.layers.quantizer import entry_perplexity
from noisewise.models.wav2vec2.ew2 import EW2, EW2Config
from noisewise.models.wav2vec2.pretraining import ContrastOutput, Wav2Vec2Pretraining, Wav2Vec2PretrainingConfig
from noisewise.tasks.inputs import TaskInputs
from noisewise.training.task import Loss, Task


@config
class ContrastiveTaskConfig:
    """Weights of Eq. 4 of Wav2code: L = L_m + alpha L_d + beta L_f + gamma L_c."""

    model_types: ClassVar = (Wav2Vec2Pretraining,)
    kind: Literal["contrastive"] = "contrastive"
    diversity: float = 0.1
    """alpha, of the diversity loss."""
    feature_penalty: float = 10.0
    """beta, of the penalty on the latents."""
    consistency: float = 1.0
    """gamma, of the distance between noisy and clean latents (EW2 alone)."""

    def build(self, model: Wav2Vec2Pretraining, inputs: TaskInputs) -> "ContrastiveTask":
        """The task, over a model that it suits."""
        return ContrastiveTask(self, model)


CARD = "# A pre-trained encoder\n\nWritten by `noisewise train`; a recipe that fine-tunes takes it as `start_from`.\n"


class ContrastiveTask(Task):
    """Masked frames and their targets; no transcript is needed."""

    criterion = "loss"
    needs_text = False

    def __init__(self, config: ContrastiveTaskConfig, model: Wav2Vec2Pretraining | EW2):
        super().__init__()
        self.config = config
        self.model = model
        self.step = 0

    def begin(self, step: int) -> None:
        """Remember the step: the temperature of the quantizer falls with it."""
        self.step = step

    def forward(self, batch: Batch) -> Loss:
        """Eq. 4 times the masked frames; its weight is the number of masked frames (specs A.7)."""
        terms, output = self._terms(batch)
        count = len(output.similarities)
        weights = {"contrastive": 1.0, **{name: value for name, value in vars(self.config).items() if name != "kind"}}
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum() * count
        with torch.no_grad():
            logged = {**terms, **_monitors(output)}
        return Loss(total, float(count), {name: value.detach() * count for name, value in logged.items()})

    def _terms(self, batch: Batch) -> tuple[dict[str, Tensor], ContrastOutput]:
        model = self.model
        if isinstance(model, EW2):
            if batch.clean is None:
                raise ConfigError("`train.keep_clean` must be true for EW2, but is false; set it, and for validation")
            pair = model.forward_pair(batch.waveform, batch.clean, batch.lengths, self.step)
            output = pair.contrast
            more = {
                "feature_penalty": model.pair_feature_penalty(pair),
                "consistency": model.consistency_loss(pair),
            }
        else:
            output = model(batch.waveform, batch.lengths, self.step)
            more = {"feature_penalty": model.feature_penalty(output)}
        return {
            "contrastive": model.contrastive_loss(output), "diversity": model.diversity_loss(output), **more,
        }, output  # fmt: skip

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """The same terms over a validation set, the same frames hidden each time."""
        self.eval()
        torch.manual_seed(0)
        sums: dict[str, float] = {}
        weight = 0.0
        for batch in batches:
            loss = self(batch)
            weight += loss.weight
            for name, value in {"loss": loss.total, **loss.terms}.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        self.train()
        return {name: value / max(weight, 1.0) for name, value in sums.items()}

    def release(self, folder: Path, config: Wav2Vec2PretrainingConfig | EW2Config, about: dict[str, Any]) -> None:
        """Write the model as a folder that the next stage starts from."""
        model_folder.save(folder, self.model, config, None, card=CARD, about=about)


def _monitors(output: ContrastOutput) -> dict[str, Tensor]:
    """How often the right target wins, and how many entries are in use."""
    chosen = torch.nn.functional.one_hot(output.quantized.ids, output.quantized.probabilities.size(-1))
    return {
        "accuracy": (output.similarities.argmax(dim=-1) == 0).float().sum() / max(len(output.similarities), 1),
        "entries_probable": entry_perplexity(output.quantized.probabilities),
        "entries_chosen": entry_perplexity(chosen.float()),
    }
