"""Prefix beam search against sums over all alignments, counted one by one."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.ctc.greedy import greedy
from noisewise.decoding.hypothesis import Hypothesis, collapse
from noisewise.errors import DecodingError
from noisewise.text.tokenizer import CharacterTokenizer
from tests.decoding.exhaustive import every_transcript, random_log_probs

SMALL = CharacterTokenizer(("<blank>", "|", "A", "B"))
TOKENIZER = CharacterTokenizer()
FRAME = 0.04
OPEN = BeamConfig(beam=500, nbest=500, beam_threshold=None, token_log_prob=None)
"""Nothing is pruned."""


def decode(log_probs: Tensor, config: BeamConfig = OPEN, tokenizer: CharacterTokenizer = SMALL) -> list[Hypothesis]:
    (found,) = PrefixBeam(tokenizer, config).decode(log_probs[None], torch.tensor([len(log_probs)]), FRAME)
    return found


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_every_score_is_the_sum_over_all_alignments(frames: int, seed: int) -> None:
    log_probs = random_log_probs(frames, len(SMALL), seed=seed, sharpness=1.0)
    expected = every_transcript(log_probs)
    found = decode(log_probs)
    assert {tuple(each.tokens) for each in found} == set(expected)
    for each in found:
        assert each.score == pytest.approx(expected[tuple(each.tokens)][0], abs=1e-9)
        assert each.ctc_score == each.score
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_without_summing_a_score_is_that_of_the_best_alignment(seed: int) -> None:
    log_probs = random_log_probs(5, len(SMALL), seed=seed, sharpness=1.0)
    expected = every_transcript(log_probs)
    config = BeamConfig(beam=500, nbest=500, beam_threshold=None, token_log_prob=None, sum_alignments=False)
    for each in decode(log_probs, config):
        assert each.score == pytest.approx(expected[tuple(each.tokens)][1], abs=1e-9)


def test_the_best_is_not_the_best_path() -> None:
    """Graves's example: two frames, blank 0.6 and A 0.4: the best path is blank, but A has 0.64 of the probability."""
    probs = torch.tensor([[0.6, 1e-9, 0.4, 1e-9]] * 2).log()
    assert decode(probs)[0].text == "A"
    assert decode(probs)[0].score == pytest.approx(math.log(0.64), abs=1e-5)
    assert greedy(probs[None], torch.tensor([2]), SMALL, FRAME)[0].text == ""


@pytest.mark.parametrize("sums", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_times_and_confidences_are_those_of_the_best_alignment(seed: int, sums: bool) -> None:
    log_probs = random_log_probs(6, len(SMALL), seed=seed)
    expected = every_transcript(log_probs)
    config = BeamConfig(beam=500, nbest=500, beam_threshold=None, token_log_prob=None, sum_alignments=sums)
    for each in decode(log_probs, config):
        path = torch.tensor(expected[tuple(each.tokens)][2])
        on_path = torch.full_like(log_probs, -50.0).scatter(1, path[:, None], 0.0)
        (reference,) = greedy(on_path[None], torch.tensor([6]), SMALL, FRAME)  # what greedy makes of that path
        assert [(w.text, w.start, w.end) for w in each.words] == [(w.text, w.start, w.end) for w in reference.words]
    (first,) = greedy(log_probs[None], torch.tensor([6]), SMALL, FRAME)
    same = next(each for each in decode(log_probs, config) if each.tokens == first.tokens)
    assert [w.confidence for w in same.words] == pytest.approx([w.confidence for w in first.words], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 30), st.sampled_from([0.5, 1.0, 3.0]))
def test_one_prefix_without_summing_is_greedy(seed: int, frames: int, sharpness: float) -> None:
    log_probs = random_log_probs(frames, len(TOKENIZER), seed=seed, sharpness=sharpness)
    config = BeamConfig(beam=1, sum_alignments=False, token_log_prob=None)
    (found,) = decode(log_probs, config, TOKENIZER)
    (reference,) = greedy(log_probs[None], torch.tensor([frames]), TOKENIZER, FRAME)
    assert found.tokens == reference.tokens
    assert found.score == pytest.approx(reference.score, abs=1e-4)
    assert [(w.text, w.start, w.end) for w in found.words] == [(w.text, w.start, w.end) for w in reference.words]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([True, False]))
def test_no_beam_scores_above_the_exhaustive_one(seed: int, sharpness: float, sums: bool) -> None:
    """A pruned sum is a part of the whole sum, so a beam that drops nothing is at least as good as any other."""
    log_probs = random_log_probs(5, len(SMALL), seed=seed, sharpness=sharpness)
    whole = decode(log_probs, BeamConfig(beam=500, beam_threshold=None, token_log_prob=None, sum_alignments=sums))[0]
    for beam in (1, 2, 4, 16):
        config = BeamConfig(beam=beam, beam_threshold=None, token_log_prob=None, sum_alignments=sums)
        assert decode(log_probs, config)[0].score <= whole.score + 1e-9


def test_larger_beams_do_not_score_worse() -> None:
    """Not a theorem (a newcomer may displace what would have won), but so on all of these."""
    log_probs = random_log_probs(64, 40, len(TOKENIZER), sharpness=1.5)
    lengths, before = torch.full((64,), 40), torch.full((64,), -math.inf)
    for beam in (1, 4, 16, 64):
        config = BeamConfig(beam=beam, beam_threshold=None, token_log_prob=None)
        found = PrefixBeam(TOKENIZER, config).decode(log_probs, lengths, FRAME)
        scores = torch.tensor([each[0].score for each in found])
        assert (scores >= before - 1e-6).all()
        before = scores


def test_a_batch_is_its_utterances_and_padding_is_not_read() -> None:
    lengths = torch.tensor([40, 1, 0, 17, 33, 40, 2, 25])
    log_probs = random_log_probs(8, 40, len(TOKENIZER), sharpness=3.0)
    decoder = PrefixBeam(TOKENIZER, BeamConfig(beam=20, nbest=5, tokens=8))
    padded = log_probs.clone()
    for row, count in enumerate(lengths.tolist()):
        padded[row, count:] = math.nan
    together = decoder.decode(padded, lengths, FRAME)
    for row, count in enumerate(lengths.tolist()):
        (alone,) = decoder.decode(log_probs[row : row + 1, :count], lengths[row : row + 1], FRAME)
        assert [each.tokens for each in together[row]] == [each.tokens for each in alone]
        assert [each.words for each in together[row]] == [each.words for each in alone]
        assert [each.score for each in together[row]] == pytest.approx([each.score for each in alone], abs=1e-9)


@pytest.mark.parametrize("sure_blank", [None, 0.9])
def test_chunks_go_on_with_one_search(sure_blank: float | None) -> None:
    log_probs = random_log_probs(3, 50, len(TOKENIZER), sharpness=3.0)
    log_probs[:, 18:24, 0] += 8  # a chunk ends within sure blanks
    log_probs = log_probs.log_softmax(-1)
    lengths = torch.tensor([50, 31, 12])
    decoder = PrefixBeam(TOKENIZER, BeamConfig(beam=20, nbest=3, sure_blank=sure_blank))
    whole = decoder.decode(log_probs, lengths, FRAME)
    state, at = decoder.start(3), 0
    for size in (0, 1, 20, 0, 22, 7):
        decoder.feed(state, log_probs[:, at : at + size], (lengths - at).clamp(0, size))
        decoder.hypotheses(state, FRAME)  # looking changes nothing
        at += size
    for one, other in zip(whole, decoder.hypotheses(state, FRAME), strict=True):
        assert [each.tokens for each in one] == [each.tokens for each in other]
        assert [each.words for each in one] == [each.words for each in other]
        assert [each.score for each in one] == pytest.approx([each.score for each in other], abs=1e-9)


def test_nothing_all_blank_and_one_frame() -> None:
    (empty,) = decode(torch.empty(0, len(SMALL)), BeamConfig())
    assert (empty.text, empty.tokens, empty.words, empty.score) == ("", [], [], 0.0)
    blanks = torch.tensor([[0.97, 0.01, 0.01, 0.01]] * 5).log()
    for sure_blank in (None, 0.95):
        (silent,) = decode(blanks, BeamConfig(sure_blank=sure_blank))
        assert (silent.text, silent.score) == ("", pytest.approx(5 * math.log(0.97), abs=1e-5))
    (one,) = decode(torch.tensor([[0.1, 0.1, 0.7, 0.1]]).log(), BeamConfig())
    assert [(word.text, word.start, word.end) for word in one.words] == [("A", 0.0, FRAME)]
    assert one.words[0].confidence == pytest.approx(0.7)
    assert PrefixBeam(SMALL).decode(torch.empty(0, 3, len(SMALL)), torch.empty(0, dtype=torch.long), FRAME) == []


def test_impossible_frames_leave_one_empty_hypothesis() -> None:
    (only,) = decode(torch.full((2, len(SMALL)), -math.inf), BeamConfig())
    assert (only.text, only.score) == ("", -math.inf)


@pytest.mark.parametrize(
    ("log_probs", "lengths", "message"),
    [
        (torch.zeros(1, 3, 7), [3], "use the tokenizer of the model"),
        (torch.zeros(3, 4), [3], "use the tokenizer of the model"),
        (torch.zeros(1, 3, 4), [4], "0 to 3"),
        (torch.zeros(1, 3, 4), [-1], "0 to 3"),
        (torch.zeros(1, 3, 4), [3, 3], "1 numbers"),
        (torch.full((1, 3, 4), math.nan), [3], "log_softmax"),
        (torch.full((1, 3, 4), 0.25), [3], "log_softmax"),
    ],
)
def test_what_cannot_be_log_probabilities_is_refused(log_probs: Tensor, lengths: list[int], message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        PrefixBeam(SMALL).decode(log_probs, torch.tensor(lengths), FRAME)


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 0},
        {"beam": 9000},
        {"nbest": 0},
        {"beam": 2, "nbest": 3},
        {"tokens": 0},
        {"beam_threshold": 0.0},
        {"sure_blank": 1.5},
    ],
)
def test_sizes_that_make_no_search_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(DecodingError, match=next(reversed(options))):
        BeamConfig(**options)  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_the_same() -> None:
    log_probs, lengths = random_log_probs(8, 60, len(TOKENIZER), sharpness=2.0), torch.randint(0, 61, (8,))
    decoder = PrefixBeam(TOKENIZER, BeamConfig(beam=20, nbest=3))
    here = decoder.decode(log_probs, lengths, FRAME)
    there = decoder.decode(log_probs.cuda(), lengths.cuda(), FRAME)
    for one, other in zip(here, there, strict=True):
        assert [each.tokens for each in one] == [each.tokens for each in other]
        assert [each.score for each in one] == pytest.approx([each.score for each in other], abs=1e-9)


def test_flashlight_finds_the_same_best_alignment() -> None:
    """It ranks prefixes by their end too, so only the maximum over alignments can be compared."""
    theirs = pytest.importorskip("flashlight.lib.text.decoder")
    options = theirs.LexiconFreeDecoderOptions(
        beam_size=100,
        beam_size_token=len(TOKENIZER),
        beam_threshold=100.0,
        lm_weight=0.0,
        sil_score=0.0,
        log_add=False,
        criterion_type=theirs.CriterionType.CTC,
    )
    decoder = theirs.LexiconFreeDecoder(options, theirs.ZeroLM(), TOKENIZER.boundary, TOKENIZER.blank, [])
    config = BeamConfig(beam=100, beam_threshold=None, token_log_prob=None, sum_alignments=False)
    for seed in range(5):
        log_probs = random_log_probs(30, len(TOKENIZER), seed=seed).float()
        best = decoder.decode(log_probs.data_ptr(), *log_probs.shape)[0]
        (found,) = decode(log_probs, config, TOKENIZER)
        assert found.tokens == collapse(best.tokens[1:-1])  # of one frame each, between two that it adds
        assert found.score == pytest.approx(best.score, abs=1e-3)
