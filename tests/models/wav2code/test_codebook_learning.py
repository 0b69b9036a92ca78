"""Stage 2 of Wav2code: Eq. 7 to 10 in a few plain lines, and what each gradient reaches."""

from typing import Any

import pytest
import torch

from noisewise.models.wav2code.codebook_learning import (
    CodebookOutput,
    squared_distance,
)
from tests.models.wav2code.small import a_batch, a_learner


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_equations_7_to_9_take_the_nearest_entry_of_each_frame() -> None:
    model = a_learner()
    waveform, lengths = a_batch(9_000, 6_000)
    output = model(waveform, lengths)
    clean = model.encoder(waveform, lengths)
    assert output.representations.equal(clean.features) and output.lengths.tolist() == [27, 18]
    for row in range(2):
        for frame in range(int(output.lengths[row])):
            distances = [(output.representations[row, frame] - code).norm().item() for code in model.codebook.entries]
            nearest = min(range(9), key=distances.__getitem__)
            assert output.ids[row, frame] == nearest
            assert output.quantized[row, frame].equal(model.codebook.entries[nearest])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equation_10_in_plain_code(reduction: Any) -> None:
    model = a_learner()
    output = model(*a_batch(9_000, 6_000))
    frames = [(row, frame) for row, count in enumerate(output.lengths.tolist()) for frame in range(count)]
    distances = [((output.representations[each] - output.quantized[each]) ** 2).sum() for each in frames]
    expected = torch.stack(distances).mean() / (24 if reduction == "mean" else 1)
    torch.testing.assert_close(model.codebook_loss(output, reduction), expected)
    torch.testing.assert_close(model.commitment_loss(output, reduction), expected)


def test_the_stop_gradients_of_equation_10() -> None:
    """The first term moves the codes and nothing else, towards the frames; the second the encoder and nothing else."""
    model = a_learner().train()
    batch = a_batch(9_000, 6_000)
    for term, moving in ((model.codebook_loss, "codebook."), (model.commitment_loss, "encoder.")):
        model.zero_grad()
        term(model(*batch)).backward()
        moved = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
        assert moved and all(name.startswith(moving) for name in moved)
    model.zero_grad()
    output = model(*batch)
    model.codebook_loss(output, "sum").backward()
    valid = torch.arange(27) < output.lengths[:, None]
    for code in range(9):
        mine = output.representations[valid & (output.ids == code)]
        expected = 2 * (model.codebook.entries[code] - mine).sum(dim=0) / 45
        assert model.codebook.entries.grad is not None
        torch.testing.assert_close(model.codebook.entries.grad[code], expected, atol=1e-5, rtol=1e-4)


def test_a_constant_encoder_and_one_code_on_it_make_equation_10_zero() -> None:
    """The collapse that nothing in Eq. 10 forbids (docs/papers/wav2code.md)."""
    model = a_learner()
    constant = torch.randn(24).expand(2, 27, 24)
    with torch.no_grad():
        model.codebook.entries[4] = constant[0, 0]
    ids = model.codebook.nearest(constant)
    output = CodebookOutput(constant, model.codebook.lookup(ids), ids, torch.tensor([27, 18]))
    assert (ids == 4).all()
    assert model.codebook_loss(output).item() == model.commitment_loss(output).item() == 0


def test_squared_distance_is_zero_in_padding() -> None:
    first, second, lengths = torch.randn(2, 4, 3), torch.randn(2, 4, 3), torch.tensor([4, 1])
    found = squared_distance(first, second, lengths, "sum")
    torch.testing.assert_close(found[0], ((first[0] - second[0]) ** 2).sum(dim=1))
    assert found[1, 0] > 0 and not found[1, 1:].any()
