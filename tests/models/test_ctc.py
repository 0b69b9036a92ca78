"""CTC: the loss against a brute-force sum over alignments, the model against padding and batch size."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from noisewise.models.ctc import CTC, CTCConfig, ctc_loss
from noisewise.models.logmel_transformer import tiny


def collapsed(alignment: tuple[int, ...]) -> list[int]:
    return [token for token, _ in itertools.groupby(alignment) if token != 0]


def brute_force(log_probs: Tensor, target: list[int]) -> float:
    """-log of the probability summed over every alignment that collapses to the target. (F, V)"""
    frames, symbols = log_probs.shape
    total = 0.0
    for alignment in itertools.product(range(symbols), repeat=frames):
        if collapsed(alignment) == target:
            total += math.exp(sum(float(log_probs[f, v]) for f, v in enumerate(alignment)))
    return -math.log(total)


@pytest.mark.parametrize("target", [[1], [1, 2], [2, 2], [1, 2, 1]])
def test_loss_is_the_sum_over_alignments(target: list[int]) -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(1, 5, 3).log_softmax(-1)
    ours = ctc_loss(log_probs, torch.tensor([5]), torch.tensor([target]), torch.tensor([len(target)]))
    assert ours.item() == pytest.approx(brute_force(log_probs[0], target), abs=1e-5)


def test_loss_looks_at_valid_frames_and_tokens_only() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(1, 5, 3).log_softmax(-1)
    ours = ctc_loss(log_probs, torch.tensor([4]), torch.tensor([[1, 2, 2]]), torch.tensor([2]))
    assert ours.item() == pytest.approx(brute_force(log_probs[0, :4], [1, 2]), abs=1e-5)


def test_a_transcript_that_does_not_fit_counts_nothing() -> None:
    log_probs = torch.randn(1, 2, 3).log_softmax(-1).requires_grad_()
    loss = ctc_loss(log_probs, torch.tensor([2]), torch.tensor([[1, 1]]), torch.tensor([2])).sum()
    loss.backward()
    assert loss.item() == 0
    assert log_probs.grad is not None and log_probs.grad.abs().max() == 0


@pytest.fixture(scope="module")
def model() -> CTC:
    torch.manual_seed(0)
    return CTC(CTCConfig(encoder=tiny())).eval()


@pytest.mark.parametrize("size", [1, 4, 16])
@torch.inference_mode()
def test_batch_size_and_padding_do_not_change_the_output(model: CTC, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(2_000, 24_000, (16,), generator=generator)
    waveforms = [torch.randn(int(length), generator=generator) * 0.1 for length in lengths]
    for start in range(0, 16, size):
        padded = torch.nn.utils.rnn.pad_sequence(waveforms[start : start + size], batch_first=True)
        together, frames = model.log_probs(padded, lengths[start : start + size])
        for row, waveform in enumerate(waveforms[start : start + size]):
            alone, count = model.log_probs(waveform[None], torch.tensor([len(waveform)]))
            assert int(frames[row]) == int(count)
            torch.testing.assert_close(together[row, :count], alone[0], atol=1e-4, rtol=0)


def test_log_probs_are_normalised_and_have_gradients(model: CTC) -> None:
    log_probs, frames = model.log_probs(torch.randn(2, 8_000), torch.tensor([8_000, 5_000]))
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]))
    log_probs.sum().backward()
    unreached = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert unreached == []
    assert frames.tolist() == sorted(frames.tolist(), reverse=True)
    model.zero_grad()
