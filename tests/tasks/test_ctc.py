"""The CTC task: what is summed, what is validated, what is released."""

import pytest
import torch

from noisewise.batch import Batch
from noisewise.models.ctc import CTC, CTCConfig
from noisewise.models.logmel_transformer import tiny
from noisewise.tasks.ctc import CTCTask, CTCTaskConfig
from noisewise.text.tokenizer import CharacterTokenizer


@pytest.fixture
def task() -> CTCTask:
    torch.manual_seed(0)
    return CTCTask(CTCTaskConfig(frozen_start=5), CTC(CTCConfig(encoder=tiny())), CharacterTokenizer())


def batch_of(*texts: str) -> Batch:
    tokens = [torch.tensor(CharacterTokenizer().encode(text)) for text in texts]
    waveform = torch.randn(len(texts), 16_000, generator=torch.Generator().manual_seed(1)) * 0.1
    return Batch(
        waveform=waveform,
        lengths=torch.full((len(texts),), 16_000),
        ids=[f"u{index}" for index in range(len(texts))],
        texts=list(texts),
        tokens=torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True),
        token_lengths=torch.tensor([len(each) for each in tokens]),
    )


def test_loss_is_the_sum_over_utterances(task: CTCTask) -> None:
    task.eval()
    batch = batch_of("YES", "NO")
    whole = task(batch)
    assert whole.weight == 2
    assert batch.tokens is not None and batch.token_lengths is not None
    each = task.model(batch.waveform, batch.lengths, batch.tokens, batch.token_lengths)
    torch.testing.assert_close(whole.total, each.sum())
    assert each[0] != each[1]


def test_validation_counts_errors_of_the_greedy_transcript(task: CTCTask) -> None:
    with torch.no_grad():  # a head that always says blank transcribes nothing: every word is deleted
        task.model.head.weight.zero_()
        task.model.head.bias.copy_(torch.arange(30, 0, -1))
    metrics = task.validate([batch_of("YES", "GO ON")])
    assert metrics["wer"] == metrics["cer"] == 1.0
    assert metrics["ctc"] > 0
    assert task.training
