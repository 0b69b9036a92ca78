"""The quantizer of wav2vec 2.0: Eq. 1, its two modes, its gradients, and the perplexity of Eq. 4."""

import math

import pytest
import torch

from noisewise.layers.quantizer import GumbelQuantizer, entry_perplexity


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_equation_1_is_the_softmax_of_logits_with_gumbel_noise_over_the_temperature() -> None:
    """p_{g,v} = exp((l_{g,v} + n_v) / tau) / sum_k exp((l_{g,k} + n_k) / tau), n = -log(-log(u)); the entry of the
    largest is chosen, and the gradient is that of p."""
    quantizer = GumbelQuantizer(6, groups=2, entries=5, width=8)
    features, tau = torch.randn(7, 6), 1.7
    torch.manual_seed(3)
    found = quantizer(features, tau)
    torch.manual_seed(3)
    noise = -torch.empty(7, 2, 5).exponential_().log()  # -log(-log(u))
    logits = (features @ quantizer.logits.weight.T + quantizer.logits.bias).view(7, 2, 5)
    chances = torch.exp((logits + noise) / tau) / torch.exp((logits + noise) / tau).sum(dim=-1, keepdim=True)
    ids = chances.argmax(dim=-1)
    assert found.ids.equal(ids)
    for frame in range(7):
        expected = torch.cat([quantizer.entries[group, ids[frame, group]] for group in range(2)])
        torch.testing.assert_close(found.vectors[frame], expected)
    pull = torch.randn(7, 8)
    own = torch.autograd.grad((found.vectors * pull).sum(), quantizer.logits.weight, retain_graph=True)[0]
    soft = torch.einsum("ngv,gvw->ngw", chances, quantizer.entries).flatten(1)  # straight through: as if soft
    torch.testing.assert_close(own, torch.autograd.grad((soft * pull).sum(), quantizer.logits.weight)[0])


def test_draws_follow_the_logits() -> None:
    """Gumbel-max: an entry is drawn as often as its softmax says, whatever the temperature."""
    quantizer = GumbelQuantizer(1, groups=1, entries=3, width=2)
    with torch.no_grad():
        quantizer.logits.weight.zero_()
        quantizer.logits.bias.copy_(torch.tensor([0.1, 0.3, 0.6]).log())
    for tau in (2.0, 0.5):
        shares = quantizer(torch.zeros(20_000, 1), tau).ids.flatten().bincount(minlength=3) / 20_000
        torch.testing.assert_close(shares, torch.tensor([0.1, 0.3, 0.6]), atol=0.015, rtol=0)


def test_the_probabilities_know_neither_noise_nor_temperature() -> None:
    quantizer = GumbelQuantizer(6, groups=2, entries=5, width=8)
    features = torch.randn(7, 6)
    expected = quantizer.logits(features).view(7, 2, 5).softmax(dim=-1)
    for tau in (0.5, 2.0):
        torch.testing.assert_close(quantizer(features, tau).probabilities, expected)


def test_evaluation_takes_the_most_probable_of_each_group() -> None:
    quantizer = GumbelQuantizer(6, groups=2, entries=5, width=8).eval()
    features = torch.randn(7, 6)
    found = quantizer(features, 2.0)
    assert found.ids.equal(quantizer.logits(features).view(7, 2, 5).argmax(dim=-1))
    assert found.ids.equal(quantizer(features, 0.1).ids)
    torch.testing.assert_close(found.vectors[0, 4:], quantizer.entries[1, found.ids[0, 1]])


def test_only_chosen_entries_get_a_gradient() -> None:
    quantizer = GumbelQuantizer(6, groups=2, entries=50, width=8)
    found = quantizer(torch.randn(3, 6), 1.0)
    found.vectors.sum().backward()
    assert quantizer.entries.grad is not None
    moved = quantizer.entries.grad.abs().sum(dim=-1) > 1e-6
    for group in range(2):
        assert set(moved[group].nonzero().flatten().tolist()) == set(found.ids[:, group].tolist())


@pytest.mark.parametrize("training", [True, False])
def test_under_autocast_the_entries_stay_exact(training: bool) -> None:
    """The Gumbel softmax and the look-up are in float32 (specs A.6), whatever the precision around them."""
    quantizer = GumbelQuantizer(6, groups=2, entries=5, width=8).train(training)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = quantizer(torch.randn(7, 6), 1.0)
    assert found.vectors.dtype == torch.float32
    expected = torch.stack([quantizer.entries[group, found.ids[:, group]] for group in range(2)], dim=1)
    torch.testing.assert_close(found.vectors, expected.flatten(1), atol=1e-6, rtol=0)


def test_it_begins_as_fairseq_does() -> None:
    """Logits N(0, 1) without bias, entries U[0, 1) (specs A.6)."""
    quantizer = GumbelQuantizer(100, groups=2, entries=320, width=256)
    assert quantizer.logits.weight.std().item() == pytest.approx(1, abs=0.02)
    assert not quantizer.logits.bias.any()
    assert 0 <= quantizer.entries.min() < 0.01 and 0.99 < quantizer.entries.max() < 1
    assert quantizer.entries.shape == (2, 320, 128)


def test_perplexity_sums_the_exponential_of_the_entropy_over_groups() -> None:
    even = torch.full((4, 2, 8), 1 / 8)
    assert entry_perplexity(even).item() == pytest.approx(16, abs=1e-4)
    alone = torch.zeros(4, 2, 8)
    alone[:, :, 3] = 1
    assert entry_perplexity(alone).item() == pytest.approx(2, abs=1e-4)
    chances = torch.rand(5, 2, 3)
    chances /= chances.sum(dim=-1, keepdim=True)
    mean = chances.mean(dim=0).tolist()
    expected = sum(math.exp(-sum(p * math.log(p) for p in group)) for group in mean)
    assert entry_perplexity(chances).item() == pytest.approx(expected, rel=1e-4)


def test_the_mean_comes_before_the_entropy() -> None:
    """Frames that are sure of different entries use all of them."""
    assert entry_perplexity(torch.eye(8)[:, None, :]).item() == pytest.approx(8, rel=1e-4)


def test_a_width_that_groups_do_not_share_is_refused() -> None:
    with pytest.raises(ValueError, match="`width` must be a multiple of `groups`, but is 7 with 2 groups"):
        GumbelQuantizer(4, groups=2, width=7)
