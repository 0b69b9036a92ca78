"""Tokens that look back at tokens: all at once, and one after the other from what was kept."""

import torch

from noisewise.layers.causal import CausalLayer, CausalTransformer


def stack() -> CausalTransformer:
    torch.manual_seed(0)
    return CausalTransformer([CausalLayer(16, 2, 24) for _ in range(3)], 16).eval()


def test_one_after_the_other_is_all_at_once() -> None:
    """Sequences of several lengths in one batch; what stands in the padding does not matter."""
    decoder, features = stack(), torch.randn(4, 7, 16)
    expected = decoder(features)
    past = torch.empty(4, 0, 3, 2, 2, 8)
    for place in range(7):
        stops = torch.tensor([7, 3, 5, 1]).clamp(max=place)  # what each sequence remembers is this long
        valid = torch.arange(place)[None] < stops[:, None]
        found, own = decoder.next(features[:, place], past, valid)
        assert own.shape == (4, 3, 2, 2, 8)
        whole = stops == place
        torch.testing.assert_close(found[whole], expected[whole, place], atol=1e-5, rtol=0)
        other = past + torch.randn_like(past) * ~valid[..., None, None, None, None]
        torch.testing.assert_close(decoder.next(features[:, place], other, valid)[0], found)
        past = torch.cat((past, own[:, None]), dim=1)


def test_nothing_looks_ahead() -> None:
    decoder, features = stack(), torch.randn(1, 5, 16)
    changed = features.clone()
    changed[0, 3] += 1
    moved = (decoder(changed) - decoder(features)).abs().amax(dim=2)[0]
    assert (moved[:3] == 0).all() and (moved[3:] > 0).all()
