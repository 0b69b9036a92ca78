"""Recognition by attention and CTC together: one encoder, two losses (Watanabe et al. 2017, Sec. III-A)."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from noisewise.batch import Batch
from noisewise.config import ConfigError, config
from noisewise.decoding import default
from noisewise.decoding.decoder import DecodingConfig
from noisewise.decoding.joint import JointConfig, JointSearch
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from noisewise.scoring.words import score
from noisewise.tasks.recognition import Scorer, release
from noisewise.text.tokenizer import Tokenizer
from noisewise.training.task import Loss, Task


@config
class JointTaskConfig:
    """L = lambda L_att + (1 - lambda) L_ctc."""

    kind: Literal["joint"] = "joint"
    ctc_weight: float = 0.3
    """1 - lambda: share of CTC; 0 for attention alone, 1 for CTC alone."""
    label_smoothing: float = 0.1
    """Share of the decoder's targets that is spread over all symbols."""
    frozen_start: int = 0
    """Steps in the beginning in which the encoder does not learn."""
    search: JointConfig = JointConfig()
    """The search that is validated, and that the released model transcribes with."""

    def __post_init__(self) -> None:
        for name in ("ctc_weight", "label_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"`{name}` must be 0 to 1, but is {getattr(self, name)} instead")


class JointTask(Task):
    """Transcripts as targets of a decoder and of CTC."""

    criterion = "wer"

    def __init__(self, config: JointTaskConfig, model: EncoderDecoder, tokenizer: Tokenizer):
        super().__init__()
        self.config = config
        self.model = model
        self.tokenizer = tokenizer

    def forward(self, batch: Batch) -> Loss:
        """Both losses summed over tokens and utterances; their weight is the number of utterances."""
        if batch.tokens is None or batch.token_lengths is None:
            raise ConfigError("`batch.tokens` must be given, but is None; build the loader with the tokenizer")
        output = self.model.encode(batch.waveform, batch.lengths)
        smoothing, weight = self.config.label_smoothing, self.config.ctc_weight
        attention = self.model.attention_loss(output, batch.tokens, batch.token_lengths, smoothing).sum()
        ctc = ctc_loss(self.model.recognise(output), output.lengths, batch.tokens, batch.token_lengths).sum()
        terms = {"attention": attention.detach(), "ctc": ctc.detach()}
        return Loss((1 - weight) * attention + weight * ctc, float(len(batch)), terms)

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Parameters that do not learn at this step."""
        return list(self.model.encoder.parameters()) if step < self.config.frozen_start else []

    @torch.inference_mode()
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Error rates of the joint search, of the decoder alone (greedy) and of CTC alone (greedy); both losses."""
        self.eval()
        alone = replace(self.config.search, beam=1, nbest=1, ctc_weight=0.0)
        searches = {
            "": JointSearch(self.tokenizer, self.config.search),
            "_attention": JointSearch(self.tokenizer, alone),
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
            for name, search in searches.items():
                steps = self.model.steps(output.features, output.lengths)
                hypotheses = search.decode(steps, log_probs, output.lengths, self.model.hop / 16_000)
                found[name] += [each[0].text if each else "" for each in hypotheses]
        self.train()
        return self._metrics(by_ctc, found, attention)

    def _metrics(self, by_ctc: Scorer, found: dict[str, list[str]], attention: float) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for name, texts in found.items():
            result = score(by_ctc.references, texts)
            metrics |= {f"wer{name}": result.wer, f"cer{name}": result.cer}
        ctc = by_ctc.metrics()
        count = max(len(by_ctc.references), 1)
        return {
            **metrics, "wer_ctc": ctc["wer"], "cer_ctc": ctc["cer"], "ctc": ctc["ctc"], "attention": attention / count,
        }  # fmt: skip

    def release(self, folder: Path, config: EncoderDecoderConfig, about: dict[str, Any]) -> None:
        """Write the model, and how it searches, as a folder that `transcribe` loads."""
        release(folder, self.model, config, self.tokenizer, about)
        default.write(folder, DecodingConfig(attention=self.config.search))
