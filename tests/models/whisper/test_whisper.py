"""Whisper as a whole: transformers as oracle at 30 s, padding, company, losses, hand-over to a folder."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise import models
from noisewise.checkpoints import model_folder
from noisewise.errors import ConfigError, ModelError
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder import EncoderOutput
from noisewise.models.whisper.encoder import WhisperEncoderConfig
from noisewise.models.whisper.whisper import WhisperConfig
from noisewise.text.tokenizer import CharacterTokenizer
from tests.models.whisper import small

WAVEFORM, LENGTHS = small.speech()
TOKENS = torch.randint(0, 330, (3, 6), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_logits_at_30_seconds_are_those_of_transformers() -> None:
    from transformers import WhisperFeatureExtractor

    samples = [each[:length].numpy() for each, length in zip(WAVEFORM, LENGTHS.tolist(), strict=True)]
    features = WhisperFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt").input_features
    expected = small.theirs()(features, decoder_input_ids=TOKENS).logits
    model = small.ours(pad_seconds=30.0)
    output = model.encode(WAVEFORM, LENGTHS)
    assert output.lengths.tolist() == [1500] * 3
    torch.testing.assert_close(model.next_token_logits(output, TOKENS), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("pads", [{}, {"trail_seconds": 0.5}, {"pad_seconds": 1.2}])
def test_neither_padding_nor_company_changes_an_utterance(pads: dict[str, Any]) -> None:
    model = small.ours(vocabulary=30, **pads)
    together = model.encode(WAVEFORM, LENGTHS)
    logits, letters = model.next_token_logits(together, TOKENS), model.log_probs(WAVEFORM, LENGTHS)
    assert letters[1].tolist() == [75, 22, 50]
    for row, length in enumerate(LENGTHS.tolist()):
        alone = WAVEFORM[row : row + 1, :length], LENGTHS[row : row + 1]
        output = model.encode(*alone)
        assert output.lengths[0] == together.lengths[row]
        own = model.next_token_logits(output, TOKENS[row : row + 1])
        torch.testing.assert_close(own[0], logits[row], atol=1e-4, rtol=1e-4)
        found, frames = model.log_probs(*alone)
        torch.testing.assert_close(found[0], letters[0][row, : int(frames)], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_silence_is_put_behind_an_utterance() -> None:
    for pads, wanted in (({"trail_seconds": 0.5}, [100, 47, 75]), ({"pad_seconds": 1.2}, [75, 60, 60])):
        assert small.ours(**pads).encode(WAVEFORM, LENGTHS).lengths.tolist() == wanted
    model, long = small.ours(trail_seconds=2.0), torch.zeros(1, 464_000)
    assert model.longest == 448_000
    assert model.encode(long, torch.tensor([464_000])).lengths.tolist() == [1500]


@torch.no_grad()
def test_losses_are_those_of_their_definitions() -> None:
    model = small.ours(vocabulary=30)
    output = model.encode(WAVEFORM, LENGTHS)
    targets = torch.tensor([[-100, 5, 6, 330, -100, -100], [-100, 330, *[-100] * 4], [-100, 5, 5, 5, 5, 330]])
    losses = model.attention_loss(output, TOKENS, targets)
    log_probs = model.next_token_logits(output, TOKENS).log_softmax(dim=-1)
    for row in range(3):
        learned = [(at, token) for at, token in enumerate(targets[row].tolist()) if token >= 0]
        assert losses[row].item() == pytest.approx(-sum(float(log_probs[row, at, token]) for at, token in learned))
    letters, counts = torch.tensor([[4, 5, 6], [7, 7, 0], [9, 0, 0]]), torch.tensor([3, 2, 1])
    expected = ctc_loss(model.recognise(output), output.lengths, letters, counts)
    torch.testing.assert_close(model.ctc_loss(output, letters, counts), expected)
    even = -log_probs.mean(dim=-1)[targets >= 0]
    smoothed = model.attention_loss(output, TOKENS, targets, label_smoothing=0.2)
    torch.testing.assert_close(smoothed.sum(), 0.8 * losses.sum() + 0.2 * even.sum())


@torch.no_grad()
def test_steps_are_the_log_probabilities_of_the_decoder() -> None:
    model = small.ours()
    output = model.encode(WAVEFORM, LENGTHS)
    steps = model.steps(output.features, output.lengths)
    found = torch.stack([steps.step(TOKENS[:, at]) for at in range(4)], dim=1)
    expected = model.next_token_logits(output, TOKENS[:, :4]).log_softmax(dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    steps.reorder(torch.tensor([2, 0]))
    steps.keep(torch.tensor([2, 0]))
    some = EncoderOutput(output.features[[2, 0]], output.lengths[[2, 0]])
    expected = model.next_token_logits(some, TOKENS[[2, 0], :5]).log_softmax(dim=-1)[:, -1]
    torch.testing.assert_close(steps.step(TOKENS[[2, 0], 4]), expected, atol=1e-4, rtol=1e-4)


def test_without_a_head_letters_are_refused() -> None:
    model = small.ours()
    assert not model.has_head
    assert model.inference_pass(WAVEFORM, LENGTHS).tolist() == [75, 22, 50]
    with pytest.raises(ModelError, match="must have a CTC head"):
        model.log_probs(WAVEFORM, LENGTHS)


def test_a_source_gives_sizes_and_weights(tmp_path: Path) -> None:
    small.theirs().save_pretrained(tmp_path)
    config = WhisperConfig(encoder=WhisperEncoderConfig(source=str(tmp_path)), vocabulary=30)
    model = models.build(config)
    settled: Any = models.settled(config, model)
    assert (settled.encoder.source, settled.encoder.dim, settled.decoder.tokens) == ("", 16, small.TOKENS)
    expected: dict[str, Tensor] = small.ours().state_dict()
    found = model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    with pytest.raises(ConfigError, match=r"`decoder\.layers` must be 2"):
        WhisperConfig(encoder=config.encoder, vocabulary=30, decoder=type(config.decoder)(layers=3)).build()


def test_a_folder_gives_the_same_model_again(tmp_path: Path) -> None:
    model = small.ours(vocabulary=30)
    model_folder.save(tmp_path / "m", model, model.config, CharacterTokenizer(), card="# A test\n")
    other = model_folder.load_stored(tmp_path / "m").model()
    assert models.settled(model.config, model) == model.config
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
