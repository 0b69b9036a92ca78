"""The encoder-decoder: its two losses by hand, padding, batch, cached steps, hand-over."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from noisewise import models
from noisewise.checkpoints import model_folder
from noisewise.checkpoints.transfer import transfer_weights
from noisewise.models.ctc import CTC, CTCConfig, ctc_loss
from noisewise.models.encoder import EncoderOutput
from noisewise.models.encoder_decoder import IGNORED, START, EncoderDecoder, EncoderDecoderConfig, targets_of, tiny
from noisewise.models.logmel_transformer import tiny as tiny_encoder

CONFIG = EncoderDecoderConfig(encoder=tiny_encoder(), decoder=tiny())
LENGTHS = torch.tensor([24_000, 7_000, 16_000])


@pytest.fixture(scope="module")
def model() -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(CONFIG).eval()


@pytest.fixture(scope="module")
def output(model: EncoderDecoder) -> EncoderOutput:
    with torch.no_grad():
        return model.encode(speech(), LENGTHS)


def speech() -> Tensor:
    waveform = torch.randn(3, 24_000, generator=torch.Generator().manual_seed(0)) * 0.1
    return waveform * (torch.arange(24_000) < LENGTHS[:, None])


TOKENS = torch.tensor([[5, 6, 6, 2, 9], [7, 0, 0, 0, 0], [3, 4, 5, 0, 0]])
TOKEN_LENGTHS = torch.tensor([5, 1, 3])


def test_targets_end_where_the_transcript_ends() -> None:
    assert targets_of(TOKENS, TOKEN_LENGTHS).tolist() == [
        [5, 6, 6, 2, 9, 0],
        [7, 0, *[IGNORED] * 4],
        [3, 4, 5, 0, *[IGNORED] * 2],
    ]
    full = torch.tensor([[5, 6, 7]])  # what stands in the padding does not matter
    assert targets_of(full, torch.tensor([1])).tolist() == [[5, 0, IGNORED, IGNORED]]


@torch.no_grad()
def test_attention_loss_is_the_chain_rule(model: EncoderDecoder, output: EncoderOutput) -> None:
    losses = model.attention_loss(output, TOKENS, TOKEN_LENGTHS)
    for row, length in enumerate(TOKEN_LENGTHS.tolist()):
        alone = EncoderOutput(output.features[row : row + 1], output.lengths[row : row + 1])
        tokens, total = TOKENS[row, :length].tolist(), 0.0
        for at, token in enumerate([*tokens, 0]):
            logits = model.next_token_logits(alone, torch.tensor([tokens[:at]], dtype=torch.long))[0, -1]
            total -= float(logits.log_softmax(dim=-1)[token])
        assert losses[row].item() == pytest.approx(total, abs=1e-4)


@torch.no_grad()
def test_label_smoothing_spreads_its_share_evenly(model: EncoderDecoder, output: EncoderOutput) -> None:
    log_probs = model.next_token_logits(output, TOKENS).log_softmax(dim=-1)
    plain = model.attention_loss(output, TOKENS, TOKEN_LENGTHS)
    even = -torch.stack([log_probs[row, : length + 1].mean(dim=-1).sum() for row, length in enumerate(TOKEN_LENGTHS)])
    smoothed = model.attention_loss(output, TOKENS, TOKEN_LENGTHS, label_smoothing=0.2)
    torch.testing.assert_close(smoothed, 0.8 * plain + 0.2 * even)


@torch.no_grad()
def test_the_ctc_head_is_that_of_ctc(model: EncoderDecoder, output: EncoderOutput) -> None:
    plain = CTC(CTCConfig(encoder=tiny_encoder())).eval()
    plain.load_state_dict({name: model.state_dict()[name] for name in plain.state_dict()})
    log_probs, frames = plain.log_probs(speech(), LENGTHS)
    ours = model.log_probs(speech(), LENGTHS)
    assert torch.equal(log_probs, ours[0]) and torch.equal(frames, ours[1])
    expected = ctc_loss(log_probs, frames, TOKENS, TOKEN_LENGTHS)
    torch.testing.assert_close(model.ctc_loss(output, TOKENS, TOKEN_LENGTHS), expected)


@torch.no_grad()
def test_padding_and_batch_size_do_not_change_the_losses(model: EncoderDecoder) -> None:
    together = model(speech(), LENGTHS, TOKENS, TOKEN_LENGTHS)
    for row, (samples, count) in enumerate(zip(LENGTHS.tolist(), TOKEN_LENGTHS.tolist(), strict=True)):
        one = slice(row, row + 1)
        alone = model(speech()[one, :samples], LENGTHS[one], TOKENS[one, :count], TOKEN_LENGTHS[one])
        torch.testing.assert_close(together[one], alone, atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_steps_equal_the_decoder_over_all_tokens(model: EncoderDecoder, output: EncoderOutput) -> None:
    expected = model.next_token_logits(output, TOKENS).log_softmax(dim=-1)  # (B, L + 1, V)
    steps = model.steps(output.features, output.lengths)
    inputs = torch.cat((torch.full((3, 1), START), TOKENS), dim=1)
    for at in range(6):
        torch.testing.assert_close(steps.step(inputs[:, at]), expected[:, at], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_steps_go_on_from_other_hypotheses(model: EncoderDecoder, output: EncoderOutput) -> None:
    steps = model.steps(output.features, output.lengths)
    steps.step(torch.zeros(3, dtype=torch.long))
    steps.reorder(torch.tensor([0, 0, 1, 1, 2, 2]))  # one hypothesis each becomes two
    steps.step(torch.tensor([5, 6, 7, 8, 9, 10]))
    steps.reorder(torch.tensor([1, 0, 3, 3, 4, 5]))
    found = steps.step(torch.tensor([11, 11, 12, 13, 14, 14]))
    prefixes = [[6, 11], [5, 11], [8, 12], [8, 13], [9, 14], [10, 14]]
    doubled = EncoderOutput(output.features.repeat_interleave(2, 0), output.lengths.repeat_interleave(2))
    expected = model.next_token_logits(doubled, torch.tensor(prefixes))[:, -1].log_softmax(dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_gradients_reach_everything(model: EncoderDecoder) -> None:
    output = model.encode(speech(), LENGTHS)
    loss = model.attention_loss(output, TOKENS, TOKEN_LENGTHS) + model.ctc_loss(output, TOKENS, TOKEN_LENGTHS)
    loss.sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)
    model.zero_grad()


@torch.no_grad()
def test_a_recording_without_a_frame_gives_numbers(model: EncoderDecoder) -> None:
    output = EncoderOutput(torch.zeros(2, 3, 64), torch.tensor([3, 0]))
    assert model.next_token_logits(output, torch.tensor([[4], [4]])).isfinite().all()


def test_a_ctc_model_hands_over_encoder_and_head(model: EncoderDecoder, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = CTCConfig(encoder=tiny_encoder())
    source = CTC(config)
    model_folder.save(tmp_path / "ctc", source, config, None, card="")
    target = models.build(CONFIG)
    done = transfer_weights(model_folder.load_stored(tmp_path / "ctc"), target, CONFIG.kind)
    assert done.taken == ("encoder", "head")
    assert {"decoder", "embedding", "output"} == set(done.new)
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor)
