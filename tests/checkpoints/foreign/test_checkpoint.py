"""How a checkpoint becomes a model: whole, as the beginning of another, or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from noisewise.checkpoints.foreign.checkpoint import Checkpoint, Head
from noisewise.errors import InteropError
from noisewise.models import logmel_transformer
from noisewise.models.ctc import CTC, CTCConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Encoder, tiny
from noisewise.models.wav2vec2.front_end import WaveformFrontEnd
from noisewise.text.tokenizer import CharacterTokenizer


def checkpoint(**changes: Any) -> Checkpoint:
    torch.manual_seed(5)
    config = tiny()
    head = Head(torch.randn(30, config.dim), torch.randn(30), CharacterTokenizer(), dropout=0.1)
    made = Checkpoint(Path("reference"), config, Wav2Vec2Encoder(config).state_dict(), head)
    return replace(made, **changes)


def test_the_whole_recogniser_has_every_weight() -> None:
    source = checkpoint()
    model, config = source.ctc()
    assert source.head is not None and not model.training
    assert all(value.equal(source.weights[name]) for name, value in model.encoder.state_dict().items())
    assert model.head.weight.equal(source.head.weight) and model.head.bias.equal(source.head.bias)
    assert config == CTCConfig(encoder=source.config, vocabulary=30, dropout=0.1)


def test_a_head_of_another_shape_or_none_is_refused() -> None:
    with pytest.raises(InteropError, match="must hold a CTC head, but holds an encoder alone; fine-tune it first"):
        checkpoint(head=None).ctc()
    narrow = Head(torch.randn(30, 5), torch.randn(30), CharacterTokenizer())
    with pytest.raises(InteropError, match=r"must be \(\(30, 64\), \(30,\)\), but is \(\(30, 5\), \(30,\)\)"):
        checkpoint(head=narrow).ctc()


def test_weights_that_the_configuration_does_not_describe_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(InteropError, match="missing are"):
        checkpoint(config=replace(tiny(), layers=3)).encoder()
    with pytest.raises(InteropError, match=r"it has more than [0-9]+ modules"):
        checkpoint(config=replace(tiny(), layers=10**9)).encoder()
    with pytest.raises(InteropError, match=r"must be \(1000000000"):
        checkpoint(config=replace(tiny(), feed_forward=10**9)).encoder()


def test_fine_tuning_takes_the_head_where_the_tokens_are_the_same() -> None:
    source, tokenizer = checkpoint(), CharacterTokenizer()
    model = CTC(CTCConfig(encoder=replace(tiny(), dropout=0.3, time_mask_probability=0.65)))
    assert source.head is not None
    before = model.head.weight.clone()
    other = CharacterTokenizer([*tokenizer.symbols[:-1], "Ä"])
    assert source.begin(model, other) == ("encoder",) and model.head.weight.equal(before)
    assert all(value.equal(source.weights[name]) for name, value in model.encoder.state_dict().items())
    assert source.begin(model, tokenizer) == ("encoder", "head") and model.head.weight.equal(source.head.weight)


def test_another_encoder_is_refused_with_what_to_set() -> None:
    model = CTC(CTCConfig(encoder=replace(tiny(), heads=8, front_end=WaveformFrontEnd(channels=32, normalise=True))))
    with pytest.raises(InteropError, match=r"differs; set front_end\.normalise=False, heads=4"):
        checkpoint().begin(model, CharacterTokenizer())
    with pytest.raises(InteropError, match="must begin an encoder of kind wav2vec2"):
        checkpoint().begin(CTC(CTCConfig(encoder=logmel_transformer.tiny())), CharacterTokenizer())
