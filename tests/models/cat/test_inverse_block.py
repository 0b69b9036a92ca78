"""Inverse block masks: exact counts, blocks, chance, clips of different lengths."""

import pytest
import torch

from noisewise.models.cat.inverse_block import inverse_block_where


@pytest.mark.parametrize(("probability", "adjust", "visible"), [(0.8, 0.07, 102), (0.85, 0.07, 76), (0.75, 0.1, 128)])
def test_counts_are_exact(probability: float, adjust: float, visible: int) -> None:
    torch.manual_seed(0)
    where = inverse_block_where(torch.full((50,), 64), 8, 64, probability, adjust=adjust)
    assert where.shape == (50, 512)
    assert (where.sum(dim=1) == visible).all()


def test_every_view_has_its_own_mask() -> None:
    torch.manual_seed(0)
    where = inverse_block_where(torch.full((8,), 64), 8, 64, 0.8)
    assert len({tuple(row.tolist()) for row in where}) == 8
    torch.manual_seed(0)
    assert torch.equal(where, inverse_block_where(torch.full((8,), 64), 8, 64, 0.8))


def test_visible_patches_lie_in_blocks() -> None:
    """A visible patch has more visible neighbours than single draws would give, and full blocks occur."""
    torch.manual_seed(0)
    where = inverse_block_where(torch.full((200,), 64), 8, 64, 0.8).view(200, 64, 8)
    both = (where[:, :-1] & where[:, 1:]).float().mean() / where[:, :-1].float().mean()
    assert 0.55 < float(both) < 0.95  # single draws: 0.2
    single = inverse_block_where(torch.full((200,), 64), 8, 64, 0.8, block=1, adjust=0.0).view(200, 64, 8)
    assert abs(float((single[:, :-1] & single[:, 1:]).float().mean() / single[:, :-1].float().mean()) - 0.2) < 0.03


def test_a_block_is_centred_and_cut_at_the_edges() -> None:
    """With one centre and room for its whole block, what is seen is a square of 5, or its part inside the grid."""
    torch.manual_seed(0)
    seen = set()
    for _ in range(300):
        where = inverse_block_where(torch.tensor([12]), 12, 12, 1 - 25 / 144, adjust=0.0)[0].view(12, 12)
        assert int(where.sum()) == 25
        rows, columns = where.sum(1), where.sum(0)
        if sorted(rows.tolist())[-5:] == [5] * 5 and sorted(columns.tolist())[-5:] == [5] * 5:
            seen.add((int(rows.argmax()), int(columns.argmax())))
    assert {row for row, _ in seen} == set(range(8)) == {column for _, column in seen}


def test_short_clips_have_counts_of_their_own_and_nothing_behind_their_end() -> None:
    torch.manual_seed(0)
    times = torch.tensor([64, 20, 3, 1, 0])
    where = inverse_block_where(times, 8, 64, 0.8)
    assert where.sum(dim=1).tolist() == [102, 32, 4, 1, 0]
    for row, count in zip(where, times.tolist(), strict=True):
        assert not row[count * 8 :].any()


def test_padding_changes_no_mask() -> None:
    torch.manual_seed(3)
    short = inverse_block_where(torch.tensor([10, 7]), 4, 10, 0.7)
    torch.manual_seed(3)
    assert torch.equal(short, inverse_block_where(torch.tensor([10, 7]), 4, 25, 0.7)[:, :40])


def test_where_patches_are_seen_is_even_in_time() -> None:
    torch.manual_seed(0)
    where = inverse_block_where(torch.full((3000,), 16), 4, 16, 0.8, block=1, adjust=0.0).float().mean(0)
    assert float((where - 12 / 64).abs().max()) < 0.05


def test_probability_is_a_chance() -> None:
    with pytest.raises(ValueError, match="probability"):
        inverse_block_where(torch.tensor([4]), 4, 4, 1.0)
