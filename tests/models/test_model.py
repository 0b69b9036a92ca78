"""A model that no list names: what it inherits is enough for tasks, costs, saving, and the words of errors."""

from typing import Literal, get_args

import pytest
import torch
from torch import Tensor, nn

from noisewise import models, tasks
from noisewise.config import config
from noisewise.errors import ConfigError, NoisewiseError
from noisewise.flops import measure
from noisewise.models.encoder import Encoder
from noisewise.models.logmel_transformer import LogMelTransformer, LogMelTransformerConfig, tiny
from noisewise.models.model import AcousticModel, Model
from noisewise.tasks.contrastive import ContrastiveTaskConfig
from noisewise.text.tokenizer import CharacterTokenizer


@config
class PlainConfig:
    """An encoder and a head."""

    kind: Literal["plain"] = "plain"
    encoder: LogMelTransformerConfig = tiny()
    vocabulary: int = 30

    def build(self) -> "Plain":
        """The model."""
        return Plain(self)


class Plain(AcousticModel):
    """As CTC, without dropout."""

    encoder: Encoder

    def __init__(self, config: PlainConfig):
        super().__init__()
        self.encoder = LogMelTransformer(config.encoder)
        self.head = nn.Linear(self.encoder.dim, config.vocabulary)

    def log_probs(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T), (B,) -> (B, F, V), (B,)"""
        output = self.encoder(waveform, lengths)
        return self.head(output.features).log_softmax(dim=-1), output.lengths


def test_its_operations_are_counted_with_its_head() -> None:
    cost = measure(PlainConfig(), 1.0)
    encoder = measure(tiny(), 1.0)
    head = PlainConfig().encoder.dim * 30 * cost.frames
    assert cost.frames == encoder.frames and cost.total.macs == encoder.total.macs + head


def test_what_it_inherits() -> None:
    model = PlainConfig().build()
    assert models.model_type(PlainConfig) is Plain and isinstance(model, Model)
    assert model.hop == model.encoder.hop
    assert models.settled(PlainConfig(), model) == PlainConfig()
    waveform, lengths = torch.randn(2, 16_000), torch.tensor([16_000, 9_000])
    assert model.inference_pass(waveform, lengths).equal(model.log_probs(waveform, lengths)[1])


def test_a_task_of_another_model_says_which_it_suits() -> None:
    with pytest.raises(ConfigError, match=r"for a Plain; take .*contrastive for wav2vec2_pretraining and ew2"):
        tasks.build(ContrastiveTaskConfig(), PlainConfig().build(), CharacterTokenizer())


def test_every_member_names_its_model_and_every_model_has_a_task() -> None:
    kinds = {member.kind for member in get_args(models.ModelUnion)}
    suited = [kind for task in get_args(tasks.TaskUnion) for kind in tasks.suited(task)]
    assert sorted(suited) == sorted(kinds)


def test_models_whose_operations_depend_on_what_they_see_are_refused() -> None:
    for member in get_args(models.ModelUnion):
        kind = models.model_type(member)
        if issubclass(kind, Model) and not kind.has_static_shapes:
            with pytest.raises(NoisewiseError, match="shapes alone"):
                measure(member(), 1.0)
