"""Recognition by attention and CTC together: one encoder, two losses (Watanabe et al. 2017, Sec. III-A)."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from noisewise.batch import Batch
from noisewise.config import config
from noisewise.decoding import saved_config as default
from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.config import DecodingConfig, build_attention
from noisewise.errors import ConfigError
from noisewise.models import AcousticConfig
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder_decoder import EncoderDecoder, Steps
from noisewise.scoring.words import score
from noisewise.tasks.inputs import TaskInputs
from noisewise.tasks.recognition import RecognitionTask, Scorer, spoken
from noisewise.text.normalise import fitting
from noisewise.text.tokenizer import Tokenizer
from noisewise.training.task import Loss


@config
class JointTaskConfig:
    """L = lambda L_att + (1 - lambda) L_ctc."""

    model_types: ClassVar = (EncoderDecoder,)
    kind: Literal["joint"] = "joint"
    ctc_weight: float = 0.3
    """1 - lambda: share of CTC; 0 for attention alone, 1 for CTC alone."""
    label_smoothing: float = 0.1
    """Share of the decoder's targets that is spread over all tokens."""
    frozen_start: int = 0
    """Steps in the beginning in which the encoder does not learn."""
    search: JointConfig = JointConfig()
    """The search that is validated, and that the released model transcribes with."""

    def __post_init__(self) -> None:
        for name in ("ctc_weight", "label_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"`{name}` must be 0 to 1, but is {getattr(self, name)} instead")

    def build(self, model: EncoderDecoder, inputs: TaskInputs) -> "JointTask":
        """The task, over a model that it suits."""
        return JointTask(self, model, inputs.tokenizer)


class JointTask(RecognitionTask):
    """Transcripts as targets of a decoder and of CTC."""

    model: EncoderDecoder

    def __init__(self, config: JointTaskConfig, model: EncoderDecoder, tokenizer: Tokenizer):
        super().__init__(model, tokenizer, config.frozen_start)
        self.config = config

    def forward(self, batch: Batch) -> Loss:
        """Both losses summed over tokens and utterances; their weight is the number of utterances."""
        tokens, counts = spoken(batch)
        output = self.model.encode(batch.waveform, batch.lengths)
        smoothing, weight = self.config.label_smoothing, self.config.ctc_weight
        attention = self.model.attention_loss(output, tokens, counts, smoothing).sum()
        ctc = ctc_loss(self.model.recognise(output), output.lengths, tokens, counts).sum()
        terms = {"attention": attention.detach(), "ctc": ctc.detach()}
        return Loss((1 - weight) * attention + weight * ctc, float(len(batch)), terms)

    @torch.inference_mode()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Error rates of the joint search, of the decoder alone (greedy) and of CTC alone (greedy); both losses."""
        self.eval()
        alone = replace(self.config.search, mode="one_pass", beam=1, nbest=1, ctc_weight=0.0)
        searches = {
            name: build_attention(DecodingConfig(attention=each), self.tokenizer, self._begin)
            for name, each in (("", self.config.search), ("_attention", alone))
        }
        found: dict[str, list[str]] = {name: [] for name in searches}
        by_ctc = Scorer(self.tokenizer, self.model.hop)
        attention = 0.0
        for batch in batches:
            output = self.model.encode(batch.waveform, batch.lengths)
            log_probs = self.model.recognise(output)
            by_ctc.add(batch, log_probs, output.lengths)
            if batch.tokens is not None and batch.token_lengths is not None:
                attention += float(self.model.attention_loss(output, batch.tokens, batch.token_lengths).sum())
            counts = output.lengths.tolist()
            posteriors = [row[:count] for row, count in zip(log_probs, counts, strict=True)]
            frames = [row[:count] for row, count in zip(output.features, counts, strict=True)]
            for name, search in searches.items():
                found[name] += [each[0].text for each in search.decode(posteriors, frames, self.model.hop / 16_000)]
        self.train()
        self.examples = by_ctc.examples()
        return self._metrics(by_ctc, found, attention)

    def _begin(self, frames: Tensor, lengths: Tensor) -> Steps:
        return self.model.steps(frames, lengths.to(frames.device))

    def _metrics(self, by_ctc: Scorer, found: dict[str, list[str]], attention: float) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for name, texts in found.items():
            result = score(by_ctc.references, texts, normaliser=fitting(self.tokenizer.symbols))
            metrics |= {f"wer{name}": result.wer, f"cer{name}": result.cer}
        ctc = by_ctc.metrics()
        count = max(len(by_ctc.references), 1)
        return {
            **metrics, "wer_ctc": ctc["wer"], "cer_ctc": ctc["cer"], "ctc": ctc["ctc"], "attention": attention / count,
        }  # fmt: skip

    def release(self, folder: Path, config: AcousticConfig, about: dict[str, Any]) -> None:
        """Write the model, and how it searches, as a folder that `transcribe` loads."""
        super().release(folder, config, about)
        default.write(folder, DecodingConfig(attention=self.config.search))
