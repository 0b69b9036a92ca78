"""Whisper in noise: its decoder and CTC learn transcripts, its encoder what it made of clean speech before.

Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", Sec. 2.4 (cross-entropy of the text,
the prompt not counted); Watanabe et al. 2017 (CTC beside it); Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in
a Neural Network", here with the starting encoder as the teacher, and states in the place of outputs.

Legend: B utterances, L tokens, F frames, D width.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from noisewise.batch import Batch
from noisewise.checkpoints import model_folder
from noisewise.config import config, within
from noisewise.errors import ConfigError
from noisewise.layers.masking import valid_mask
from noisewise.models import AcousticConfig
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder import EncoderOutput
from noisewise.models.encoder_decoder import IGNORED
from noisewise.models.whisper.encoder import WhisperEncoder
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.models.whisper.whisper import Whisper
from noisewise.scoring.words import score
from noisewise.tasks.inputs import TaskInputs
from noisewise.tasks.recognition import CARD, RecognitionTask, Scorer, spoken
from noisewise.text.normalise import fitting
from noisewise.text.tokenizer import Tokenizer
from noisewise.text.written import WrittenStyle, written
from noisewise.training.task import Loss

States = list[list[Tensor]]
"""Outputs of layers: for each layer those of the batch, or of one utterance after the other. (B or 1, F, D)"""
LEAST_TOKENS, TOKENS_PER_SECOND = 8, 12.0
"""Where greedy decoding stops in validation if no end comes: so many tokens, and so many for each second."""


@config
class WhisperTaskConfig:
    """L = (1 - w) L_att + w L_ctc + d L_dist, of noisy speech."""

    model_types: ClassVar = (Whisper,)
    kind: Literal["whisper"] = "whisper"
    ctc_weight: float = 0.3
    """w: share of CTC over letters; 0 for the decoder alone, 1 for CTC alone, which leaves the decoder as it is."""
    label_smoothing: float = 0.0
    """Share of the decoder's targets that is spread over all its tokens."""
    distillation: float = 0.0
    """d: weight of the squared distance between the encoder's states of the noisy speech and those that the encoder of
    the beginning has of the clean speech; needs `train.keep_clean`."""
    distilled_layers: tuple[int, ...] = ()
    """Layers of the encoder whose outputs are compared, 1 the first; empty for its features, after the last norm."""
    freeze_decoder: bool = False
    """Whether the decoder stays as it is; it still teaches the encoder."""
    frozen_start: int = 0
    """Steps in the beginning in which the CTC head alone learns, for it is new."""
    head_lr_scale: float = 10.0
    """Factor on the learning rate of the CTC head."""
    language: str = "en"
    """Language in the decoder's prompt; a model of English alone has none there."""
    written_style: WrittenStyle = "sentence"
    """Form of the decoder's targets: `as_is`, or `sentence`, which writes transcripts in capitals as sentences and
    leaves all others (`noisewise.text.written`)."""

    def __post_init__(self) -> None:
        within(0, 1, ctc_weight=self.ctc_weight, label_smoothing=self.label_smoothing)
        within(0, float("inf"), distillation=self.distillation, frozen_start=self.frozen_start)
        if self.frozen_start and not self.ctc_weight:
            raise ConfigError("`frozen_start` must be 0 without CTC, whose head alone would learn, but is not; set one")

    def build(self, model: Whisper, inputs: TaskInputs) -> "WhisperTask":
        """The task, over a model that it suits."""
        return WhisperTask(self, model, inputs.tokenizer, inputs.decoder_tokens())


class WhisperTask(RecognitionTask):
    """Transcripts as targets of the decoder, as they are written, and of CTC, in letters."""

    model: Whisper

    def __init__(self, config: WhisperTaskConfig, model: Whisper, tokenizer: Tokenizer, pieces: WhisperTokenizer):
        super().__init__(model, tokenizer, config.frozen_start)
        self.config = config
        self.pieces = pieces
        self.prompt = pieces.prompt(config.language)
        self.step = config.frozen_start
        _must_have(model.encoder, config.distilled_layers)
        self._teacher = [copy.deepcopy(model.encoder).eval().requires_grad_(False)] if config.distillation else []
        if config.freeze_decoder:
            model.decoder.requires_grad_(False)

    def lr_scale(self, name: str) -> float:
        """The CTC head, which is new, may learn faster."""
        return self.config.head_lr_scale if name.startswith("model.head.") else 1.0

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Parameters that do not learn at this step."""
        parts = (self.model.encoder, self.model.decoder) if step < self.frozen_start else ()
        return [parameter for part in parts for parameter in part.parameters()]

    def begin(self, step: int) -> None:
        """Remember the step: what does not learn yet is not computed."""
        self.step = step

    def forward(self, batch: Batch) -> Loss:
        """The three losses summed over tokens, utterances and frames; their weight is the number of the decoder's
        tokens, the ends included."""
        inputs, targets = self.targets(batch)
        terms, weight = self._terms(batch, inputs, targets), self.config.ctc_weight
        factors = {"attention": 1 - weight, "ctc": weight, "distillation": self.config.distillation}
        total = torch.stack([factors[name] * term for name, term in terms.items()]).sum()
        count = float((targets != IGNORED).sum())
        return Loss(total, count, {name: term.detach() for name, term in terms.items()})

    def targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the decoder reads, and what follows each token: the text and its end; `IGNORED` in the prompt and behind
        the end. A text with more tokens than the decoder has positions is cut. -> (B, L), (B, L)"""
        most, end = self.model.decoder.config.positions, self.pieces.end
        texts = [written(text, self.config.written_style) for text in batch.written]
        tokens = [[*self.prompt, *self.pieces.encode(f" {text}"), end][: most + 1] for text in texts]
        inputs = [torch.tensor(each[:-1]) for each in tokens]
        silent = len(self.prompt) - 1
        targets = [torch.tensor([IGNORED] * silent + each[silent + 1 :]) for each in tokens]
        padded = nn.utils.rnn.pad_sequence
        device = batch.waveform.device
        return (
            padded(inputs, batch_first=True, padding_value=end).to(device),
            padded(targets, batch_first=True, padding_value=IGNORED).to(device),
        )

    def _terms(self, batch: Batch, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The losses that are learned from at this step, as sums. () each"""
        settings, model = self.config, self.model
        begun = self.step >= self.frozen_start
        with (
            torch.set_grad_enabled(begun and torch.is_grad_enabled()),
            _outputs(model.encoder, settings.distilled_layers) as states,
        ):
            output = model.encode(batch.waveform, batch.lengths)
        terms = {}
        if begun and settings.ctc_weight < 1:
            terms["attention"] = model.attention_loss(output, inputs, targets, settings.label_smoothing).sum()
        if settings.ctc_weight:
            tokens, counts = spoken(batch)
            log_probs, frames = model.spoken(model.recognise(output), batch.lengths)
            terms["ctc"] = ctc_loss(log_probs, frames, tokens, counts).sum()
        if begun and settings.distillation:
            terms["distillation"] = self._distillation(batch, output, states)
        return terms

    def _distillation(self, batch: Batch, output: EncoderOutput, states: States) -> Tensor:
        """L_dist: squared distances of states, their mean over width and layers, their sum over frames. ()"""
        if batch.clean is None:
            raise ConfigError("`train.keep_clean` must be true for `task.distillation`, but is false; set it")
        teacher = self._teacher[0] = self._teacher[0].to(batch.clean.device)
        with torch.no_grad(), _outputs(teacher, self.config.distilled_layers) as clean:
            wanted = teacher(*self.model.padded(batch.clean, batch.lengths))
        own, other = ([_valid(each, output.lengths) for each in found] for found in (states, clean))
        if not own:
            own, other = ([_valid([each.features], output.lengths)] for each in (output, wanted))
        each = [(one.float() - two.float()).square().mean(dim=1).sum() for one, two in zip(own, other, strict=True)]
        return torch.stack(each).mean()

    @torch.inference_mode()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Error rates of the decoder and of CTC, both greedy; the decoder's loss of a token, CTC's of an utterance."""
        self.eval()
        by_ctc = Scorer(self.tokenizer, self.model.hop)
        texts: list[str] = []
        loss = count = 0.0
        for batch in batches:
            output = self.model.encode(batch.waveform, batch.lengths)
            by_ctc.add(batch, *self.model.spoken(self.model.recognise(output), batch.lengths))
            inputs, targets = self.targets(batch)
            loss += float(self.model.attention_loss(output, inputs, targets).sum())
            count += float((targets != IGNORED).sum())
            if self.config.ctc_weight < 1:
                texts += [self.pieces.decode(each).strip() for each in self.greedy(output)]
        self.train()
        return self._metrics(by_ctc, texts, loss / max(count, 1.0))

    def greedy(self, output: EncoderOutput) -> list[list[int]]:
        """The likeliest token, one after the other, until the end. -> tokens of each text, without prompt and end"""
        steps, end = self.model.steps(output.features, output.lengths), self.pieces.end
        tokens = output.lengths.new_tensor([self.prompt]).expand(len(output.lengths), -1)
        for column in range(len(self.prompt) - 1):
            steps.push(tokens[:, column])
        tokens = tokens[:, -1]
        most = LEAST_TOKENS + round(TOKENS_PER_SECOND * float(output.lengths.max()) * self.model.hop / 16_000)
        found: list[Tensor] = []
        while len(found) < min(most, self.model.decoder.config.positions - len(self.prompt)):
            scores = steps.step(tokens)
            scores[:, self._forbidden] = -torch.inf
            tokens = scores.argmax(dim=1).masked_fill(tokens == end, end)
            found.append(tokens)
            if bool((tokens == end).all()):
                break
        texts = torch.stack(found, dim=1).tolist()
        return [text[: text.index(end)] if end in text else text for text in texts]

    @cached_property
    def _forbidden(self) -> list[int]:
        """Tokens that are no text, but for the end."""
        times = range(self.pieces.timestamps, self.model.decoder.config.tokens)
        return sorted({*self.pieces.steering, *times} - {self.pieces.end})

    def _metrics(self, by_ctc: Scorer, texts: list[str], attention: float) -> dict[str, float]:
        ctc = by_ctc.metrics()
        by_ctc.hypotheses = texts or by_ctc.hypotheses
        self.examples = by_ctc.examples()
        result = score(by_ctc.references, by_ctc.hypotheses, normaliser=fitting(self.tokenizer.symbols))
        return {
            "wer": result.wer, "cer": result.cer, "wer_ctc": ctc["wer"], "cer_ctc": ctc["cer"], "ctc": ctc["ctc"],
            "attention": attention,
        }  # fmt: skip

    def release(self, folder: Path, config: AcousticConfig, about: dict[str, Any]) -> None:
        """Write the model, with the tokens of decoder and head, as a folder that `transcribe` loads."""
        model_folder.save(folder, self.model, config, self.tokenizer, card=CARD, about=about, pieces=self.pieces)


@contextmanager
def _outputs(encoder: WhisperEncoder, layers: Sequence[int]) -> Iterator[States]:
    """Collect the outputs of some layers of an encoder, 1 the first, in the order that is given."""
    found: States = [[] for _ in layers]
    chosen: list[Any] = [encoder.transformer.layers[layer - 1] for layer in layers]
    hooks = [layer.register_forward_hook(_kept_in(outputs)) for layer, outputs in zip(chosen, found, strict=True)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _kept_in(outputs: list[Tensor]) -> Callable[[Any, Any, Tensor], None]:
    def keep(module: Any, given: Any, output: Tensor) -> None:
        outputs.append(output)

    return keep


def _valid(outputs: Sequence[Tensor], lengths: Tensor) -> Tensor:
    """The valid frames of a batch, utterance after utterance.

    Args:
        outputs: of the whole batch at once, (B, F, D), or of one utterance after the other, without the empty ones.
        lengths: valid frames. (B,)

    Returns:
        (N, D).
    """
    if len(outputs[0]) == len(lengths):
        return outputs[0][valid_mask(lengths, outputs[0].size(1))]
    return torch.cat(tuple(outputs), dim=1)[0]


def _must_have(encoder: WhisperEncoder, layers: Sequence[int]) -> None:
    count = len(encoder.transformer.layers)
    for layer in layers:
        if not 1 <= layer <= count:
            raise ConfigError(f"`distilled_layers` must be 1 to {count}, but one is {layer} instead")
