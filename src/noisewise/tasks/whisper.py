"""Whisper in noise: its decoder and CTC learn transcripts, its encoder what it made of clean speech before.

Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", Sec. 2.4 (cross-entropy of the text,
what stands before it not counted); Watanabe et al. 2017 (CTC beside it); Hinton, Vinyals, Dean 2015, "Distilling the
Knowledge in a Neural Network", here with the starting encoder as the teacher and states in the place of outputs.

Legend: B utterances, L tokens, F frames, D width, V pieces of Whisper.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.batch import Batch
from noisewise.config import config, within
from noisewise.errors import ConfigError
from noisewise.layers.masking import masked_sum, valid_mask
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder import EncoderOutput
from noisewise.models.whisper.encoder import WhisperEncoder
from noisewise.models.whisper.whisper import Whisper
from noisewise.scoring.words import score
from noisewise.tasks.inputs import TaskInputs
from noisewise.tasks.recognition import RecognitionTask, Scorer, spoken
from noisewise.text.normalise import fitting
from noisewise.text.tokenizer import Tokenizer
from noisewise.text.written import WrittenStyle, written
from noisewise.training.task import Loss

PIECES_PER_SECOND = 12.0
"""Most pieces of a second of speech, with 8 more of each utterance; greedy decoding in validation stops there."""


@config
class WhisperTaskConfig:
    """L = (1 - w) L_att + w L_ctc + d L_dist, of the recognition of noisy speech."""

    model_types: ClassVar = (Whisper,)
    kind: Literal["whisper"] = "whisper"
    ctc_weight: float = 0.3
    """w: share of CTC over letters; 0 for the decoder alone, 1 for CTC alone, which leaves the decoder as it is."""
    label_smoothing: float = 0.0
    """Share of the decoder's targets that is spread over all pieces."""
    distillation: float = 0.0
    """d: weight of the distance between the encoder's states of noisy speech and those that the encoder had of the
    clean speech when training began; needs `train.keep_clean`."""
    distilled_layers: tuple[int, ...] = ()
    """Layers of the encoder whose outputs are compared, 1 the first; empty for its output, after the last norm."""
    freeze_decoder: bool = False
    """Whether the decoder stays as it is; it still teaches the encoder."""
    frozen_start: int = 0
    """Steps in the beginning in which the CTC head alone learns, for it is new."""
    head_lr_scale: float = 10.0
    """Factor on the learning rate of the CTC head."""
    language: str = "en"
    """Language in the decoder's prompt; of no account in a model of English alone."""
    written_style: WrittenStyle = "sentence"
    """Form of the decoder's targets: `as_is`, or `sentence`, which writes transcripts in capitals as sentences and
    leaves others alone (`noisewise.text.written`)."""

    def __post_init__(self) -> None:
        within(0, 1, ctc_weight=self.ctc_weight, label_smoothing=self.label_smoothing)
        within(0, float("inf"), distillation=self.distillation, frozen_start=self.frozen_start)
        if self.frozen_start and not self.ctc_weight:
            raise ConfigError("`frozen_start` must be 0 without CTC, whose head alone would learn; set `ctc_weight`")

    def build(self, model: Whisper, inputs: TaskInputs) -> "WhisperTask":
        """The task, over a model that it suits."""
        return WhisperTask(self, model, inputs.tokenizer)


class WhisperTask(RecognitionTask):
    """Transcripts as targets of the decoder, as they are written, and of CTC, in letters."""

    model: Whisper

    def __init__(self, config: WhisperTaskConfig, model: Whisper, tokenizer: Tokenizer):
        super().__init__(model, tokenizer, config.frozen_start)
        self.config = config
        self.prompt = model.pieces.prompt(config.language)
        self.step = config.frozen_start
        _must_have_layers(model.encoder, config.distilled_layers)
        self._clean_encoder = [_frozen_copy(model.encoder)] if config.distillation else []
        """The encoder as it was; in a list: it is neither trained nor saved."""
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
        """The losses summed over pieces, utterances and frames; their weight is the number of pieces, ends included."""
        inputs, targets, counted = self.targets(batch)
        terms, weight = self._terms(batch, inputs, targets, counted), self.config.ctc_weight
        factors = {"attention": 1 - weight, "ctc": weight, "distillation": self.config.distillation}
        total = torch.stack([factors[name] * term for name, term in terms.items()]).sum()
        return Loss(total, float(counted.sum()), {name: term.detach() for name, term in terms.items()})

    def targets(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder reads, what it writes, and where that counts: the text and its end, not the prompt.

        Returns:
            Inputs (B, L), targets (B, L), and (B, L) bool. A text beyond the decoder's positions is cut.
        """
        tokenizer = self.model.pieces
        texts = [written(text, self.config.written_style) for text in batch.written]
        rows = [
            torch.tensor([*self.prompt, *tokenizer.encode(f" {text}"), tokenizer.end][: self._most + 1])
            for text in texts
        ]
        lengths = torch.tensor([len(row) for row in rows]) - 1
        whole = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.end)
        counted = valid_mask(lengths, whole.size(1) - 1)
        counted[:, : len(self.prompt) - 1] = False
        device = batch.waveform.device
        return whole[:, :-1].to(device), whole[:, 1:].to(device), counted.to(device)

    @property
    def _most(self) -> int:
        return self.model.decoder.config.positions

    def _terms(self, batch: Batch, inputs: Tensor, targets: Tensor, counted: Tensor) -> dict[str, Tensor]:
        """The losses that count at this step, as sums."""
        config = self.config
        begun = self.step >= self.frozen_start
        with torch.set_grad_enabled(begun and torch.is_grad_enabled()), _outputs(
            self.model.encoder, config.distilled_layers
        ) as states:
            output = self.model.encode(batch.waveform, batch.lengths)
        terms: dict[str, Tensor] = {}
        if begun and config.ctc_weight < 1:
            terms["attention"] = attention_loss(
                self.model, output, inputs, targets, counted, config.label_smoothing
            ).sum()
        if config.ctc_weight:
            tokens, counts = spoken(batch)
            terms["ctc"] = ctc_loss(self.model.recognise(output), output.lengths, tokens, counts).sum()
        if begun and config.distillation:
            terms["distillation"] = self._distillation(batch, output, states)
        return terms

    def _distillation(self, batch: Batch, output: EncoderOutput, states: Sequence[Tensor]) -> Tensor:
        """L_dist: the squared distance of states, a mean over width and layers, summed over frames. ()"""
        if batch.clean is None:
            raise ConfigError("`train.keep_clean` must be true for `task.distillation`, but is false; set it")
        encoder = self._clean_encoder[0] = self._clean_encoder[0].to(batch.clean.device)
        with torch.no_grad(), _outputs(encoder, self.config.distilled_layers) as clean:
            wanted = encoder(batch.clean, batch.lengths)
        pairs = list(zip(states, clean, strict=True)) or [(output.features, wanted.features)]
        each = torch.stack([(own.float() - other.float()).square().mean(dim=2) for own, other in pairs]).mean(dim=0)
        return masked_sum(each, valid_mask(output.lengths, each.size(1)))

    @torch.inference_mode()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Error rates of the decoder (greedy) and of CTC (greedy); the decoder's loss of a piece, CTC's of an
        utterance."""
        self.eval()
        by_ctc = Scorer(self.tokenizer, self.model.hop)
        texts: list[str] = []
        loss = pieces = 0.0
        for batch in batches:
            output = self.model.encode(batch.waveform, batch.lengths)
            by_ctc.add(batch, self.model.recognise(output), output.lengths)
            inputs, targets, counted = self.targets(batch)
            loss += float(attention_loss(self.model, output, inputs, targets, counted).sum())
            pieces += float(counted.sum())
            if self.config.ctc_weight < 1:
                texts += [self.model.pieces.decode(ids) for ids in self.greedy(output)]
        self.train()
        return self._metrics(by_ctc, texts, loss / max(pieces, 1.0))

    def greedy(self, output: EncoderOutput) -> list[list[int]]:
        """The likeliest piece, one after the other, until the end. -> B lists of pieces, without prompt and end"""
        decoder, tokenizer = self.model.decoder, self.model.pieces
        cache = decoder.start(output.features, valid_mask(output.lengths.clamp(min=1), output.features.size(1)))
        rows, end = len(output.lengths), tokenizer.end
        forbidden = sorted({*tokenizer.steering, *range(tokenizer.timestamps, decoder.config.tokens)})
        for token in self.prompt[:-1]:
            decoder.step(output.lengths.new_full((rows,), token), cache)
        tokens = output.lengths.new_full((rows,), self.prompt[-1])
        seconds = float(output.lengths.max()) * self.model.hop / 16_000
        found: list[Tensor] = []
        for _ in range(min(self._most - len(self.prompt), 8 + round(PIECES_PER_SECOND * seconds))):
            logits = decoder.logits(decoder.step(tokens, cache))
            logits[:, forbidden] = -torch.inf
            tokens = torch.where(tokens == end, end, logits.argmax(dim=1))
            found.append(tokens)
            if bool((tokens == end).all()):
                break
        ids = torch.stack(found, dim=1).tolist()
        return [row[: row.index(end)] if end in row else row for row in ids]

    def _metrics(self, by_ctc: Scorer, texts: list[str], attention: float) -> dict[str, float]:
        ctc = by_ctc.metrics()
        metrics = {"wer_ctc": ctc["wer"], "cer_ctc": ctc["cer"], "ctc": ctc["ctc"], "attention": attention}
        if not texts:
            self.examples = by_ctc.examples()
            return {"wer": ctc["wer"], "cer": ctc["cer"], **metrics}
        result = score(by_ctc.references, texts, normaliser=fitting(self.tokenizer.symbols))
        by_ctc.hypotheses = texts
        self.examples = by_ctc.examples()
        return {"wer": result.wer, "cer": result.cer, **metrics}


def attention_loss(
    model: Whisper,
    output: EncoderOutput,
    inputs: Tensor,
    targets: Tensor,
    counted: Tensor,
    label_smoothing: float = 0.0,
) -> Tensor:
    """L_att: -ln P of each piece that counts, given those before it and the frames.

    V scores are computed for these pieces alone.

    Args:
        model: encoder and decoder.
        output: of its encoder.
        inputs: what the decoder reads. (B, L)
        targets: what it should write. (B, L)
        counted: which of them count, N in all. (B, L) bool
        label_smoothing: share of the target that is spread evenly over all pieces.

    Returns:
        (N,) in nats, utterance after utterance.
    """
    valid = valid_mask(output.lengths.clamp(min=1), output.features.size(1))
    decoded = model.decoder.decoded(inputs, output.features, valid)  # (B, L, D)
    logits = model.decoder.logits(decoded[counted])  # (N, V)
    return F.cross_entropy(logits, targets[counted], label_smoothing=label_smoothing, reduction="none")


@contextmanager
def _outputs(encoder: WhisperEncoder, layers: Sequence[int]) -> Iterator[list[Tensor]]:
    """Collect the outputs of some layers of an encoder, in the order of the layers. (B, F, D) each"""
    found: list[Tensor] = []
    chosen: list[Any] = [encoder.transformer.layers[layer - 1] for layer in sorted(layers)]
    hooks = [layer.register_forward_hook(lambda module, given, output: found.append(output)) for layer in chosen]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _must_have_layers(encoder: WhisperEncoder, layers: Sequence[int]) -> None:
    count = len(encoder.transformer.layers)
    wrong = [layer for layer in layers if not 1 <= layer <= count]
    if wrong:
        raise ConfigError(f"`distilled_layers` must be 1 to {count}, but one is {wrong[0]} instead")


def _frozen_copy(encoder: WhisperEncoder) -> WhisperEncoder:
    return copy.deepcopy(encoder).eval().requires_grad_(False)
