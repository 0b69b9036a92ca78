"""The joint search: every text counted one by one, batches, the end, long recordings."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from noisewise.decoding.fusion import Fusion
from noisewise.decoding.joint import JointConfig, JointError, JointSearch, decode_long, even_runs, pieces, runs_of
from noisewise.decoding.shallow import CharacterScorer
from noisewise.text.tokenizer import BLANK, BOUNDARY, CharacterTokenizer
from tests.decoding.exhaustive import every_transcript, random_log_probs

TOKENIZER = CharacterTokenizer((BLANK, BOUNDARY, "A", "B"))
FRAMES, SYMBOLS = 4, 4
WIDE = JointConfig(beam=400, nbest=5, end_threshold=1e9)


class Table:
    """A decoder that draws its probabilities from what was said before, and from the utterance."""

    def __init__(self, seeds: list[int]):
        self.said = [((seed,), ()) for seed in seeds]
        self.begun = False

    def step(self, tokens: Tensor) -> Tensor:
        if self.begun:
            self.said = [(seed, (*past, token)) for (seed, past), token in zip(self.said, tokens.tolist(), strict=True)]
        self.begun = True
        return torch.stack([next_log_probs(seed[0], past) for seed, past in self.said])

    def reorder(self, rows: Tensor) -> None:
        self.said = [self.said[row] for row in rows.tolist()]


def next_log_probs(seed: int, past: tuple[int, ...]) -> Tensor:
    number = seed + sum(token * 5**at for at, token in enumerate(past, start=1))
    return torch.randn(SYMBOLS, generator=torch.Generator().manual_seed(number)).mul(1.5).log_softmax(dim=-1)


def attention_score(seed: int, tokens: tuple[int, ...]) -> float:
    return sum(float(next_log_probs(seed, tokens[:at])[token]) for at, token in enumerate((*tokens, 0)))


def every_text(seed: int, ctc_weight: float, bonus: float = 0.0) -> dict[tuple[int, ...], float]:
    """The score of every text that fits."""
    ctc = every_transcript(random_log_probs(FRAMES, SYMBOLS, seed=seed))
    scores = {}
    for length in range(FRAMES + 1):
        for tokens in itertools.product(range(1, SYMBOLS), repeat=length):
            by_ctc = ctc[tokens][0] if tokens in ctc else -math.inf
            if ctc_weight == 0:
                by_ctc = 0.0
            scores[tokens] = (1 - ctc_weight) * attention_score(seed, tokens) + ctc_weight * by_ctc + bonus * length
    return scores


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("ctc_weight", "bonus"), [(0.0, 0.0), (0.3, 0.0), (0.5, 0.7), (1.0, 0.0)])
def test_a_wide_beam_finds_what_is_best_of_all(seed: int, ctc_weight: float, bonus: float) -> None:
    search = JointSearch(TOKENIZER, replace(WIDE, ctc_weight=ctc_weight, bonus=bonus))
    log_probs = random_log_probs(1, FRAMES, SYMBOLS, seed=seed)
    (found,) = search.decode(Table([seed]), log_probs, torch.tensor([FRAMES]), 0.04)
    expected = sorted(every_text(seed, ctc_weight, bonus).items(), key=lambda item: -item[1])[:5]
    assert [tuple(each.tokens) for each in found] == [tokens for tokens, _ in expected]
    assert [each.score for each in found] == pytest.approx([score for _, score in expected], abs=1e-5)
    if ctc_weight:
        ctc = every_transcript(random_log_probs(FRAMES, SYMBOLS, seed=seed))
        assert found[0].ctc_score == pytest.approx(ctc[tuple(found[0].tokens)][0])


def test_batch_and_padding_change_nothing() -> None:
    search = JointSearch(TOKENIZER, JointConfig(beam=3, nbest=2))
    lengths = torch.tensor([6, 3, 1, 5, 2, 6, 4, 0])
    log_probs = random_log_probs(8, 6, SYMBOLS, seed=9)
    together = search.decode(Table(list(range(8))), log_probs, lengths, 0.04)
    for row, length in enumerate(lengths.tolist()):
        (alone,) = search.decode(Table([row]), log_probs[row : row + 1, :length], lengths[row : row + 1], 0.04)
        assert [each.tokens for each in alone] == [each.tokens for each in together[row]]
        assert [each.score for each in alone] == pytest.approx([each.score for each in together[row]])
        assert [each.words for each in alone] == [each.words for each in together[row]]
    assert together[7][0].text == ""


def test_a_wider_beam_is_never_worse_here() -> None:
    lengths, log_probs = torch.tensor([6] * 4), random_log_probs(4, 6, SYMBOLS, seed=11)
    best = [
        [row[0].score for row in JointSearch(TOKENIZER, JointConfig(beam=beam)).decode(
            Table([0, 1, 2, 3]), log_probs, lengths, 0.04)]
        for beam in (1, 4, 64)
    ]  # fmt: skip
    assert all(a <= b + 1e-9 <= c + 2e-9 for a, b, c in zip(*best, strict=True))
    assert best[0] != best[2]


class Counted(Table):
    """A decoder that counts its steps, and is sure of the end after two tokens."""

    steps = 0

    def step(self, tokens: Tensor) -> Tensor:
        super().step(tokens)
        self.steps += 1
        sure = torch.full((len(tokens), SYMBOLS), -20.0)
        for row, (_, past) in zip(sure, self.said, strict=True):
            row[0 if len(past) >= 2 else 2 + len(past)] = 0.0
        return sure


def test_the_search_ends_when_nothing_better_can_come() -> None:
    search = JointSearch(TOKENIZER, JointConfig(beam=4, ctc_weight=0.0))
    decoder = Counted([0])
    (found,) = search.decode(decoder, random_log_probs(1, 50, SYMBOLS), torch.tensor([50]), 0.04)
    assert found[0].text == "AB" and decoder.steps <= 4


def test_a_text_is_never_longer_than_its_frames_allow() -> None:
    class Endless(Table):
        def step(self, tokens: Tensor) -> Tensor:
            return torch.tensor([-50.0, -2.0, -0.2, -3.0]).expand(len(tokens), -1)

    for ratio, most in ((1.0, 6), (0.5, 3)):
        search = JointSearch(TOKENIZER, JointConfig(beam=2, ctc_weight=0.0, tokens_per_frame=ratio))
        (found,) = search.decode(Endless([0]), random_log_probs(1, 6, SYMBOLS), torch.tensor([6]), 0.04)
        assert len(found[0].tokens) <= most


class Likes:
    """A language model that likes B, and nothing after it but the end."""

    def start(self) -> str:
        return ""

    def score(self, state: str, token: str) -> tuple[float, str]:
        return (-0.1 if token == "B" and not state else -9.0), state + token

    def end(self, state: str) -> float:
        return -0.1 if state == "B" else -9.0

    def knows(self, token: str) -> bool:
        return True


def test_a_language_model_over_characters_is_heard() -> None:
    log_probs, lengths = random_log_probs(1, FRAMES, SYMBOLS, seed=1), torch.tensor([FRAMES])
    (alone,) = JointSearch(TOKENIZER, WIDE).decode(Table([1]), log_probs, lengths, 0.04)
    assert alone[0].tokens != [3]
    fusion = Fusion([CharacterScorer(Likes(), TOKENIZER, weight=2.0)], SYMBOLS)
    (found,) = JointSearch(TOKENIZER, WIDE, fusion).decode(Table([1]), log_probs, lengths, 0.04)
    assert found[0].tokens == [3]
    assert found[0].score == pytest.approx(every_text(1, 0.3)[(3,)] + 2.0 * -0.2, abs=1e-5)


def test_times_are_those_of_the_best_ctc_path() -> None:
    path = [0, 2, 2, 0, 0, 1, 0, 3, 0]
    log_probs = torch.full((len(path), SYMBOLS), 0.02).scatter(1, torch.tensor(path)[:, None], 0.94).log()
    runs = runs_of(log_probs, [2, 1, 3])
    assert [(run.token, run.first, run.frames) for run in runs] == [(2, 1, 2), (1, 5, 1), (3, 7, 1)]
    assert runs[0].confidence == pytest.approx(0.94)
    search = JointSearch(TOKENIZER, JointConfig(ctc_weight=1.0))
    (found,) = search.decode(Table([0]), log_probs[None], torch.tensor([9]), 0.04)
    words = [(word.text, word.start, word.end) for word in found[0].words]
    assert words == [("A", pytest.approx(0.04), pytest.approx(0.12)), ("B", pytest.approx(0.28), pytest.approx(0.32))]


def test_what_ctc_forbids_has_even_times_and_no_confidence() -> None:
    runs = even_runs(4, [2, 2, 2, 2, 3])
    assert [run.first for run in runs] == [0, 0, 1, 2, 3] and {run.confidence for run in runs} == {0.0}
    assert even_runs(4, []) == []


def test_long_recordings_are_cut_in_their_longest_pauses() -> None:
    path = [2] * 6 + [0] + [2] * 2 + [0] * 4 + [3] * 7 + [1] * 2 + [2] * 3
    log_probs = torch.full((len(path), SYMBOLS), 0.02).scatter(1, torch.tensor(path)[:, None], 0.94).log()
    assert pieces(log_probs, 100, (0, 1)) == [(0, 25)]
    assert pieces(log_probs, 13, (0, 1)) == [(0, 11), (11, 21), (21, 25)]
    for longest in (1, 2, 5):  # whatever comes, everything is covered and nothing is too long
        found = pieces(log_probs, longest, (0, 1))
        assert [found[0][0], found[-1][1]] == [0, 25]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
        assert all(0 < end - start <= longest for start, end in found)


def test_pieces_keep_their_times() -> None:
    path = [0, 2, 0, 3, 0, 0, 0, 0, 3, 0, 2, 0]
    log_probs = torch.full((len(path), SYMBOLS), 0.001).scatter(1, torch.tensor(path)[:, None], 0.997).log()
    search = JointSearch(TOKENIZER, JointConfig(ctc_weight=1.0, piece_seconds=0.8))
    asked: list[tuple[int, ...]] = []

    def begin(frames: Tensor, lengths: Tensor) -> Table:
        asked.append(tuple(frames.shape))
        return Table([0])

    found = decode_long(search, begin, torch.zeros(12, 7), log_probs, 0.1)
    assert asked == [(1, 6, 7), (1, 6, 7)]
    assert found.text == "AB BA" and found.tokens == [2, 3, 1, 3, 2]
    assert [(word.start, word.end) for word in found.words] == [
        (pytest.approx(0.1), pytest.approx(0.4)),
        (pytest.approx(0.8), pytest.approx(1.1)),
    ]


@pytest.mark.parametrize("wrong", [{"beam": 0}, {"nbest": 9}, {"ctc_weight": 1.5}, {"tokens_per_frame": 0.0}])
def test_options_that_cannot_be_used_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(JointError, match=f"`{'nbest' if 'beam' in wrong else next(iter(wrong))}` must be"):
        JointConfig(**wrong)  # type: ignore[arg-type]
