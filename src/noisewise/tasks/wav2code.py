"""Code prediction and fusion, stage 3 of Wav2code (Sec. II-C, Eq. 13 and 14)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import config
from noisewise.errors import ConfigError
from noisewise.layers.masking import valid_mask
from noisewise.models import Model
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder import EncoderOutput
from noisewise.models.wav2code.codebook_learning import CodebookLearning, Reduction
from noisewise.models.wav2code.wav2code import Restoration, Wav2Code, Wav2CodeConfig
from noisewise.tasks.inputs import TaskInputs
from noisewise.tasks.recognition import Scorer, release
from noisewise.text.tokenizer import Tokenizer
from noisewise.training.task import Loss, Task


@config
class Wav2CodeTaskConfig:
    """Eq. 14: L_ft = L_CTC + lambda_pred L_pred + lambda_res L_res."""

    model_types: ClassVar = (Wav2Code,)
    kind: Literal["wav2code"] = "wav2code"
    teacher: str = ""
    """The folder of stage 2: its frozen encoder and codebook give the clean codes E and representations Z_c, and its
    codes are where the codebook begins. With a folder of stage 1 there is no pre-trained codebook (Table IV,
    experiment 5): codes begin at random frames, and E is nearest among them."""
    prediction: float = 0.1
    """Weight of L_pred (lambda_pred)."""
    restoration: float = 0.1
    """Weight of L_res (lambda_res)."""
    reduction: Reduction = "mean"
    """Reduction of L_pred and L_res over the frames of an utterance. The paper's expectation is the mean, beside a CTC
    loss whose own reduction it does not specify; here that is a sum over the utterance, to which "sum" is the like."""
    fix_codebook: bool = True
    """Whether the codes stay as they are (Table IV, experiments 4 and 5: not)."""
    encoder_lr_scale: float = 1.0
    """Factor on the encoder's learning rate. Not specified by the paper; 1 is one rate for all."""
    frozen_start: int = 0
    """Steps in the beginning in which the encoder does not learn. Not specified by the paper; 0 for none."""

    def build(self, model: Wav2Code, inputs: TaskInputs) -> "Wav2CodeTask":
        """The task, over a model that it suits."""
        return Wav2CodeTask(self, model, inputs.tokenizer)


class Wav2CodeTask(Task):
    """Transcripts, and the clean codes of a frozen teacher, as targets."""

    criterion = "wer"

    def __init__(self, config: Wav2CodeTaskConfig, model: Wav2Code, tokenizer: Tokenizer):
        super().__init__()
        self.config = config
        self.model = model
        self.tokenizer = tokenizer
        self._teacher = [load_teacher(config.teacher, model)]  # in a list: it is neither trained nor saved
        model.codebook.requires_grad_(not config.fix_codebook)

    @property
    def teacher(self) -> Model:
        """The frozen model of the stage before."""
        return self._teacher[0]

    @torch.no_grad()
    def initialise(self, batches: Iterable[Batch]) -> None:
        """The codes begin as the teacher's; without a teacher's, at frames of the first batches."""
        codebook = self.model.codebook
        if isinstance(self.teacher, CodebookLearning):
            codebook.load_state_dict(self.teacher.codebook.state_dict())
            return
        found: list[Tensor] = []
        for batch in batches:
            clean, frames = self._clean(batch)
            found.append(clean[valid_mask(frames, clean.size(1))])
            if sum(map(len, found)) >= 4 * codebook.size:
                break
        codebook.initialise(torch.cat(found), "data")

    def lr_scale(self, name: str) -> float:
        """The encoder may learn slower than what is new."""
        return self.config.encoder_lr_scale if name.startswith("model.encoder.") else 1.0

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Parameters that do not learn at this step."""
        return list(self.model.encoder.parameters()) if step < self.config.frozen_start else []

    def forward(self, batch: Batch) -> Loss:
        """Eq. 14 summed over utterances; its weight is the number of utterances."""
        if batch.tokens is None or batch.token_lengths is None:
            raise ConfigError("`batch.tokens` must be given, but is None; build the loader with the tokenizer")
        output = self.model.restore(batch.waveform, batch.lengths)
        clean, ids = self.targets(batch)
        terms = {
            "ctc": ctc_loss(self.model.recognise(output), output.lengths, batch.tokens, batch.token_lengths),
            "prediction": self.model.prediction_loss(output, ids, self.config.reduction),
            "restoration": self.model.restoration_loss(output, clean, self.config.reduction),
        }
        sums = {name: values.sum() for name, values in terms.items()}
        total = (
            sums["ctc"] + self.config.prediction * sums["prediction"] + self.config.restoration * sums["restoration"]
        )
        count = float(len(batch))
        with torch.no_grad():
            right, frames = code_accuracy(output, ids)
            sums["code_accuracy"] = right / frames * count
        return Loss(total, count, {name: value.detach() for name, value in sums.items()})

    @torch.no_grad()
    def targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Z_c and E of the clean speech, unmasked, by the teacher. -> (B, F, D), (B, F)"""
        clean, _ = self._clean(batch)
        teacher = self.teacher
        codebook = teacher.codebook if isinstance(teacher, CodebookLearning) else self.model.codebook
        return clean, codebook.nearest(clean)

    def _clean(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch.clean is None:
            raise ConfigError("`train.keep_clean` must be true for Wav2code, but is false; set it")
        self._teacher[0] = self.teacher.to(batch.clean.device)
        output: EncoderOutput = self.teacher.encoder(batch.clean, batch.lengths)
        return output.features, output.lengths

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Greedy word and character error rate, the CTC loss, and, with clean speech given, the code accuracy."""
        self.eval()
        scorer = Scorer(self.tokenizer, self.model.hop)
        right = frames = 0.0
        for batch in batches:
            output = self.model.restore(batch.waveform, batch.lengths)
            scorer.add(batch, self.model.recognise(output), output.lengths)
            if batch.clean is not None:
                found, of = code_accuracy(output, self.targets(batch)[1])
                right, frames = right + float(found), frames + float(of)
        self.train()
        self.examples = scorer.examples()
        return {**scorer.metrics(), **({"code_accuracy": right / frames} if frames else {})}

    def release(self, folder: Path, config: Wav2CodeConfig, about: dict[str, Any]) -> None:
        """Write the model as a folder that `transcribe` loads; the teacher is not part of it."""
        release(folder, self.model, config, self.tokenizer, about)


def load_teacher(folder: str, model: Wav2Code) -> Model:
    """The stage before, frozen and in evaluation mode.

    Raises:
        ConfigError: there is none, its frames are not the model's, or its codebook has another size.
    """
    if not folder:
        raise ConfigError("`task.teacher` must be the folder of stage 2, such as runs/codebook/best, but is empty")
    teacher = model_folder.load_stored(folder).model()
    encoder = teacher.encoder
    if (encoder.dim, encoder.hop) != (model.encoder.dim, model.hop):
        raise ConfigError(
            f"`task.teacher` must have frames of {model.encoder.dim} values every {model.hop} samples, but has "
            f"{encoder.dim} every {encoder.hop}; take a teacher of the same encoder"
        )
    if isinstance(teacher, CodebookLearning) and teacher.codebook.size != model.codebook.size:
        raise ConfigError(
            f"`model.codes` must be {teacher.codebook.size}, as in `task.teacher`, but is {model.codebook.size} instead"
        )
    return teacher.requires_grad_(False)


def code_accuracy(output: Restoration, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Frames whose chosen code is the clean one, and all valid frames (Fig. 4). -> (), ()"""
    valid = valid_mask(output.lengths, ids.size(1))
    return ((output.ids == ids) & valid).sum(), valid.sum().clamp(min=1)
