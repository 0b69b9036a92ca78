"""The joint search: every text counted one by one, batches, the end, long recordings."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from noisewise.decoding.attention.joint import JointConfig, JointSearch, even_runs, runs_of
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.fusion.lm_scorers import CharacterScorer
from noisewise.errors import DecodingError
from tests.decoding.exhaustive import every_transcript, random_log_probs
from tests.decoding.table import SYMBOLS, TOKENIZER, Table, attention_score

FRAMES = 4
WIDE = JointConfig(beam=400, nbest=5, end_threshold=1e9)


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


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_a_power_of_the_length_ranks_what_has_ended(power: float) -> None:
    search = JointSearch(TOKENIZER, replace(WIDE, length_power=power))
    expected = {tokens: score / (len(tokens) + 1) ** power for tokens, score in every_text(1, 0.3).items()}
    best = sorted(expected.items(), key=lambda item: -item[1])[:5]
    (found,) = search.decode(Table([1]), random_log_probs(1, FRAMES, SYMBOLS, seed=1), torch.tensor([FRAMES]), 0.04)
    assert [tuple(each.tokens) for each in found] == [tokens for tokens, _ in best]
    assert [each.score for each in found] == pytest.approx([score for _, score in best], abs=1e-5)
    plain = sorted(every_text(1, 0.3).items(), key=lambda item: -item[1])[:5]
    assert [tokens for tokens, _ in plain] != [tokens for tokens, _ in best]


def test_with_all_the_weight_on_ctc_the_decoder_is_not_asked() -> None:
    class Silent(Table):
        def step(self, tokens: Tensor) -> Tensor:
            raise AssertionError("scored")

    search = JointSearch(TOKENIZER, replace(WIDE, ctc_weight=1.0))
    log_probs = random_log_probs(2, FRAMES, SYMBOLS, seed=4)
    scored, silent = (search.decode(each, log_probs, torch.tensor([4, 2]), 0.04) for each in (Table([0]), Silent([0])))
    assert scored == silent


def test_utterances_that_are_over_are_let_go() -> None:
    class Watched(Table):
        left: tuple[int, ...] = ()

        def keep(self, utterances: Tensor) -> None:
            self.left = (*self.left, len(utterances))

    decoder = Watched([0, 1, 2])
    search = JointSearch(TOKENIZER, JointConfig(beam=3, end_threshold=1e9, ctc_weight=0.0, bonus=9.0))
    search.decode(decoder, random_log_probs(3, 6, SYMBOLS), torch.tensor([1, 6, 3]), 0.04)
    assert decoder.left == (2, 1)


@pytest.mark.parametrize(
    "wrong", [{"beam": 0}, {"nbest": 9}, {"ctc_weight": 1.5}, {"tokens_per_frame": 0.0}, {"length_power": -1.0}]
)
def test_options_that_cannot_be_used_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DecodingError, match=f"`{'nbest' if 'beam' in wrong else next(iter(wrong))}` must be"):
        JointConfig(**wrong)  # type: ignore[arg-type]
