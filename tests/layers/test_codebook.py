"""The codebook: nearest entries against brute force, clusters that are known, codes that nobody uses."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

from noisewise.layers import codebook
from noisewise.layers.codebook import Codebook, code_perplexity, kmeans, nearest_entry, usage


def a_codebook(size: int = 7, dim: int = 5) -> Codebook:
    made = Codebook(size, dim)
    with torch.no_grad():
        made.entries.normal_()
    return made


def blobs(centres: int = 8, each: int = 30, dim: int = 6) -> tuple[Tensor, Tensor]:
    """Tight clusters far apart: frames (n, D) in random order and their centres (N, D)."""
    middle = 100 * torch.randn(centres, dim)
    frames = (middle[:, None] + 0.01 * torch.randn(centres, each, dim)).flatten(0, 1)
    return frames[torch.randperm(len(frames))], middle


def test_entries_begin_uniform_in_one_over_n() -> None:
    torch.manual_seed(0)
    entries = Codebook(64, 32).entries
    assert entries.dtype == torch.float32 and entries.shape == (64, 32)
    assert 0.95 / 64 < entries.max() <= 1 / 64 and -1 / 64 <= entries.min() < -0.95 / 64


def test_nearest_is_the_least_distance_by_brute_force() -> None:
    torch.manual_seed(0)
    made, features = a_codebook(), torch.randn(2, 9, 5)
    ids = made.nearest(features)
    assert ids.shape == (2, 9) and ids.dtype == torch.int64
    for row in range(2):
        for frame in range(9):
            distances = [math.dist(features[row, frame].tolist(), entry.tolist()) for entry in made.entries]
            assert ids[row, frame] == distances.index(min(distances))


def test_of_equally_near_entries_the_lowest_is_taken() -> None:
    made = a_codebook(6, 2)
    with torch.no_grad():
        made.entries.copy_(torch.tensor([[9.0, 9], [1, 0], [-1, 0], [1, 0], [0, 7], [0, 7]]))
    assert made.nearest(torch.tensor([[0.0, 0], [2, 0], [-2, 0], [0, 6]])).tolist() == [1, 1, 2, 4]


def test_nearest_in_pieces_is_nearest_at_once() -> None:
    torch.manual_seed(0)
    features, entries = torch.randn(50, 4), torch.randn(6, 4)
    whole = nearest_entry(features, entries)
    for scores_at_once in (1, 6, 13, 60):
        assert torch.equal(nearest_entry(features, entries, scores_at_once), whole)


def test_nearest_holds_far_from_the_origin_and_in_half_precision_regions() -> None:
    torch.manual_seed(0)
    entries, noise = torch.randn(40, 16), 0.05 * torch.randn(300, 16)
    ids = torch.randint(40, (300,))
    shift = 3000.0  # |z|^2 is then 10^8, where float32 knows no distances of this size
    features = (entries + shift)[ids] + noise
    assert torch.equal(nearest_entry(features, entries + shift), ids)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest_entry(features, entries + shift), ids)


def test_frames_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    made, features = a_codebook(), torch.randn(3, 8, 5)
    ids = made.nearest(features)
    features[1, 4:] = torch.nan  # padding
    assert torch.equal(made.nearest(features)[1, :4], ids[1, :4])
    assert torch.equal(made.nearest(features)[2], ids[2])
    assert torch.equal(made.nearest(features[2:3]), ids[2:3])


def test_lookup_and_select_give_the_entries_and_their_gradient() -> None:
    torch.manual_seed(0)
    made, ids = a_codebook(), torch.tensor([[3, 0], [3, 6]])
    weights = torch.nn.functional.one_hot(ids, 7).float().requires_grad_()
    assert torch.equal(made.lookup(ids), made.entries[ids])
    torch.testing.assert_close(made.select(weights), made.lookup(ids))
    made.lookup(ids).sum().backward()
    assert made.entries.grad is not None
    assert made.entries.grad[:, 0].tolist() == [1, 0, 0, 2, 0, 0, 1]
    made.select(weights).sum().backward()
    assert weights.grad is not None
    torch.testing.assert_close(weights.grad[0, 1], made.entries.sum(dim=1).detach())


def test_kmeans_finds_clusters_that_are_apart() -> None:
    torch.manual_seed(0)
    frames, middle = blobs()
    made = Codebook(8, 6)
    made.initialise(frames, "kmeans")
    order = made.nearest(middle)
    assert sorted(order.tolist()) == list(range(8))
    torch.testing.assert_close(made.entries[order].detach(), middle, atol=0.02, rtol=0)
    assert made.entries.requires_grad and made.entries.grad is None


def test_kmeans_is_at_a_fixed_point_and_better_than_random_frames() -> None:
    torch.manual_seed(0)
    frames = torch.randn(600, 3)
    centres = kmeans(frames, 12)
    ids = torch.cdist(frames, centres).argmin(dim=1)
    means = torch.stack([frames[ids == k].mean(dim=0) for k in range(12)])
    error = (frames - centres[ids]).square().sum()
    assert (means - centres).abs().max() < 0.1
    assert error < 0.8 * torch.cdist(frames, frames[:12]).amin(dim=1).square().sum()


def test_an_empty_cluster_moves_to_the_farthest_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, seeds = torch.tensor([[0.0], [1], [10], [13]]), torch.tensor([[0.0], [1e5], [-1e5]])
    monkeypatch.setattr(codebook, "_seeds", lambda frames, size: seeds)  # two of them where there is nothing
    monkeypatch.setattr(codebook, "KMEANS_ROUNDS", 1)
    assert kmeans(frames, 3).tolist() == [[6], [13], [10]]
    monkeypatch.setattr(codebook, "KMEANS_ROUNDS", 9)
    assert sorted(kmeans(frames, 3).tolist()) == [[0.5], [10], [13]]


def test_frames_that_are_all_alike_do_no_harm() -> None:
    assert torch.equal(kmeans(torch.ones(10, 2), 4), torch.ones(4, 2))


@pytest.mark.parametrize("kind", ["kmeans", "data", "uniform"])
def test_initialisation_repeats_with_the_seed_and_forgets_the_counts(kind: Any) -> None:
    made, frames = Codebook(8, 6), torch.randn(40, 6)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.counts.fill_(5)
        made.initialise(frames, kind)
        drawn.append(made.entries.detach().clone())
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(made.counts, torch.ones(8))


def test_data_takes_each_frame_once() -> None:
    torch.manual_seed(0)
    made, frames = Codebook(8, 6), torch.randn(8, 6)
    made.initialise(frames, "data")
    assert sorted(made.entries[:, 0].tolist()) == sorted(frames[:, 0].tolist())


def test_uniform_needs_no_frames_and_the_others_enough() -> None:
    made = Codebook(8, 6)
    made.initialise(torch.empty(0, 6), "uniform")
    assert made.entries.abs().max() <= 1 / 8
    for kind in ("kmeans", "data"):
        with pytest.raises(ValueError, match="must be at least 8, but are 7 instead"):
            made.initialise(torch.randn(7, 6), kind)


def test_counts_follow_the_use_of_valid_frames() -> None:
    made = Codebook(3, 2, decay=0.9)
    ids, valid = torch.tensor([[0, 0, 2], [0, 1, 1]]), torch.tensor([[True, True, True], [True, False, False]])
    made.observe(ids, valid)
    torch.testing.assert_close(made.counts, torch.tensor([0.9 + 0.3, 0.9, 0.9 + 0.1]))
    made.observe(ids)
    torch.testing.assert_close(made.counts, torch.tensor([0.9 * 1.2 + 0.3, 0.81 + 0.2, 0.9 + 0.1]))


def test_dead_entries_move_to_frames_of_the_batch() -> None:
    torch.manual_seed(0)
    made, frames = a_codebook(5, 2), 50 + torch.randn(20, 2)
    made.counts.copy_(torch.tensor([10.0, 0.1, 10, 0.2, 9.7]))
    before = made.entries.detach().clone()
    assert made.restart(frames, below=0.1 / 5) == 2
    assert torch.equal(made.entries[[0, 2, 4]], before[[0, 2, 4]])
    moved = made.entries[[1, 3]].detach()
    assert all((frames == entry).all(dim=1).any() for entry in moved) and not torch.equal(moved[0], moved[1])
    assert made.counts[[0, 2, 4]].tolist() == pytest.approx([10, 10, 9.7])
    assert made.counts[[1, 3]].tolist() == pytest.approx([6, 6])
    assert made.restart(frames, below=0.1 / 5) == 0


def test_a_restart_without_dead_entries_changes_nothing_and_draws_from_the_seed() -> None:
    made, frames = a_codebook(5, 2), torch.randn(20, 2)
    before = made.entries.detach().clone()
    assert made.restart(frames, below=0.99 / 5) == 0 and torch.equal(made.entries, before)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.counts.copy_(torch.tensor([1.0, 0, 0, 1, 1]))
        made.restart(frames, below=0.1)
        drawn.append(made.entries.detach().clone())
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_the_least_used_entries_move_first_when_frames_are_few() -> None:
    made, frames = a_codebook(4, 2), torch.full((1, 2), 50.0)
    made.counts.copy_(torch.tensor([0.3, 0.1, 100, 0.2]))
    assert made.restart(frames, below=0.1) == 1
    assert made.entries[1].tolist() == [50, 50] and made.entries[[0, 2, 3]].max() < 50


def test_every_process_takes_the_values_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[tuple[int, ...], int]] = []

    def broadcast(values: Tensor, src: int) -> None:
        sent.append((tuple(values.shape), src))
        values.fill_(0.5)  # what rank 0 would say

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "broadcast", broadcast)
    made = a_codebook(4, 2)
    made.initialise(torch.randn(9, 2), "kmeans")
    assert sent == [((4, 2), 0)] and bool((made.entries == 0.5).all())
    made.restart(torch.randn(9, 2), below=0.1)
    assert sent[1:] == [((4,), 0), ((4, 2), 0)] and bool((made.counts == 0.5).all())


def test_entries_and_counts_are_kept_in_a_checkpoint() -> None:
    torch.manual_seed(0)
    one, other = a_codebook(), Codebook(7, 5)
    one.observe(torch.tensor([1, 1, 2]))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.counts, other.counts) and torch.equal(one.entries, other.entries)


def test_perplexity_and_usage_by_hand() -> None:
    even, one, three = torch.arange(8).view(2, 4), torch.full((2, 4), 5), torch.tensor([0, 0, 1, 1, 1, 1, 1, 1])
    assert code_perplexity(even, 8).item() == pytest.approx(8) and usage(even, 8).item() == 1
    assert code_perplexity(one, 8).item() == pytest.approx(1) and usage(one, 8).item() == pytest.approx(1 / 8)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert code_perplexity(three, 8).item() == pytest.approx(math.exp(entropy))
    valid = torch.tensor([[True, True, False, False], [True, False, False, False]])  # codes 0, 1, 4
    assert code_perplexity(even, 8, valid).item() == pytest.approx(3) and usage(even, 8, valid).item() == 3 / 8
    nothing = torch.zeros(2, 4, dtype=torch.bool)
    assert code_perplexity(even, 8, nothing).item() == 1 and usage(even, 8, nothing).item() == 0
