"""Greedy decoding against the collapse done by hand, with times and confidences."""

import math

import pytest
import torch
from torch import Tensor

from noisewise.decoding.ctc.greedy import greedy
from noisewise.decoding.hypothesis import collapse
from noisewise.text.tokenizer import CharacterTokenizer

TOKENIZER = CharacterTokenizer()
FRAME = 0.04


def path_probs(symbols: list[str], confidences: list[float] | None = None) -> Tensor:
    """Log-probabilities whose likeliest path is `symbols`, `.` for the blank. (1, F, V)"""
    confidences = confidences or [0.9] * len(symbols)
    rows = []
    for symbol, confidence in zip(symbols, confidences, strict=True):
        row = torch.full((len(TOKENIZER),), (1 - confidence) / (len(TOKENIZER) - 1))
        row[0 if symbol == "." else TOKENIZER.symbols.index(symbol)] = confidence
        rows.append(row.log())
    return torch.stack(rows)[None]


def test_text_times_and_confidences_of_a_path_written_by_hand() -> None:
    symbols = [*"..HHI.", "|", *".BE.E."]
    confidences = [0.9] * len(symbols)
    confidences[2], confidences[3], confidences[4] = 0.6, 0.8, 0.7
    confidences[11] = 0.5
    (hypothesis,) = greedy(path_probs(symbols, confidences), torch.tensor([len(symbols)]), TOKENIZER, FRAME)
    assert hypothesis.text == "HI BEE"
    assert [word.text for word in hypothesis.words] == ["HI", "BEE"]
    first, second = hypothesis.words
    assert (first.start, first.end) == pytest.approx((2 * FRAME, 5 * FRAME))
    assert (second.start, second.end) == pytest.approx((8 * FRAME, 12 * FRAME))
    assert first.confidence == pytest.approx(0.7)  # H is 0.8 at its best, I 0.7: the weaker letter decides
    assert second.confidence == pytest.approx(0.5)
    assert hypothesis.score == pytest.approx(sum(math.log(each) for each in confidences), rel=1e-5)


def test_frames_past_the_length_say_nothing() -> None:
    symbols = [*"HI.", "|", *"NOO"]
    log_probs = path_probs(symbols)
    (short,) = greedy(log_probs, torch.tensor([2]), TOKENIZER, FRAME)
    assert short.text == "HI"
    assert short.words[0].end == pytest.approx(2 * FRAME)
    assert short.score == pytest.approx(2 * math.log(0.9), rel=1e-5)
    (cut,) = greedy(log_probs, torch.tensor([6]), TOKENIZER, FRAME)  # inside the run of O
    assert cut.words[1].end == pytest.approx(6 * FRAME)


def test_a_run_is_not_joined_across_utterances_or_with_padding() -> None:
    batch = torch.cat([path_probs([*"AAA"]), path_probs([*"ABA"])])
    first, second = greedy(batch, torch.tensor([3, 2]), TOKENIZER, FRAME)
    assert (first.text, second.text) == ("AAA"[:1], "AB")


def test_batch_equals_one_by_one_and_the_collapse() -> None:
    generator = torch.Generator().manual_seed(0)
    log_probs = (torch.randn(5, 40, len(TOKENIZER), generator=generator) * 4).log_softmax(-1)
    lengths = torch.tensor([40, 1, 0, 17, 33])
    together = greedy(log_probs, lengths, TOKENIZER, FRAME)
    for row, hypothesis in enumerate(together):
        count = int(lengths[row])
        (alone,) = greedy(log_probs[row : row + 1, :count], lengths[row : row + 1], TOKENIZER, FRAME)
        assert alone.text == hypothesis.text
        assert alone.words == hypothesis.words
        assert hypothesis.tokens == collapse(log_probs[row, :count].argmax(-1).tolist())
        assert hypothesis.text == " ".join(TOKENIZER.decode(hypothesis.tokens).split())


def test_boundaries_alone_make_no_words() -> None:
    (hypothesis,) = greedy(path_probs(["|", ".", "|", "|"]), torch.tensor([4]), TOKENIZER, FRAME)
    assert (hypothesis.text, hypothesis.words) == ("", [])
