import pytest
import torch

from noisewise.layers.span_masking import span_where


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def runs(row: torch.Tensor) -> list[int]:
    """Lengths of the stretches that are True."""
    text = "".join("x" if value else " " for value in row.tolist())
    return [len(run) for run in text.split()]


def test_065_chooses_about_half_as_in_the_paper() -> None:
    """Section 4.2 of the paper: p = 0.065, M = 10 masks about 49 % of frames, mean span 14.7."""
    where = span_where(torch.full((200,), 750), 750, probability=0.65, span=10, least=2)
    assert where.float().mean().item() == pytest.approx(0.49, abs=0.01)
    lengths = [length for row in where for length in runs(row)]
    assert sum(lengths) / len(lengths) == pytest.approx(14.7, abs=0.7)
    assert min(lengths) == 10


def test_never_past_the_length() -> None:
    lengths = torch.tensor([300, 50, 11, 4, 2, 1, 0])
    where = span_where(lengths, 300, probability=0.65, span=10, least=2)
    for row, length in zip(where, lengths.tolist(), strict=True):
        assert not row[length:].any()
        assert bool(row.any()) == (length > 1)


def test_least_and_none() -> None:
    assert runs(span_where(torch.tensor([100]), 100, probability=0.0, span=10, least=1)[0]) == [10]
    assert not span_where(torch.tensor([100]), 100, probability=0.0, span=10).any()


def test_rows_differ_and_the_seed_decides() -> None:
    lengths = torch.tensor([200, 200])
    torch.manual_seed(5)
    first = span_where(lengths, 200, 0.3, 10)
    torch.manual_seed(5)
    assert first.equal(span_where(lengths, 200, 0.3, 10))
    assert not first[0].equal(first[1])
    assert not first.equal(span_where(lengths, 200, 0.3, 10))


def test_every_position_but_the_last_can_be_chosen() -> None:
    seen = torch.zeros(30, dtype=torch.bool)
    for _ in range(300):
        seen |= span_where(torch.tensor([30]), 30, 0.3, 5)[0]
    assert seen.tolist() == [True] * 29 + [False]  # fairseq draws starts from [0, n - span)
