"""The decoder of Whisper: transformers as oracle, the cache, causality."""

import torch

from noisewise.layers.masking import valid_mask
from tests.models.whisper import small

TOKENS = torch.randint(0, small.TOKENS, (3, 7), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_logits_are_those_of_transformers() -> None:
    frames = torch.randn(3, 1500, 16, generator=torch.Generator().manual_seed(1))
    expected = small.theirs()(encoder_outputs=(frames,), decoder_input_ids=TOKENS).logits
    logits = small.ours().decoder(TOKENS, frames, torch.ones(3, 1500, dtype=torch.bool))
    assert expected.std() > 0.5
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_one_token_after_the_other_equals_all_at_once() -> None:
    decoder, frames, valid = small.ours().decoder, torch.randn(3, 9, 16), valid_mask(torch.tensor([9, 4, 1]), 9)
    cache = decoder.start(frames, valid)
    steps = [decoder.logits(decoder.step(TOKENS[:, at], cache)) for at in range(7)]
    together = decoder(TOKENS, frames, valid)
    torch.testing.assert_close(torch.stack(steps, dim=1), together, atol=1e-4, rtol=1e-4)
    changed = TOKENS.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % small.TOKENS
    torch.testing.assert_close(decoder(changed, frames, valid)[:, :5], together[:, :5])


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    decoder = small.ours().decoder
    decoder.dropout.p = 0.5
    frames, valid = torch.randn(3, 9, 16), torch.ones(3, 9, dtype=torch.bool)
    assert torch.equal(decoder(TOKENS, frames, valid), decoder(TOKENS, frames, valid))
    decoder.train()
    assert not torch.equal(decoder(TOKENS, frames, valid), decoder(TOKENS, frames, valid))
