"""Kneser-Ney estimates against numbers by hand, a second computation written as the paper is, and KenLM."""

import math
import random
from collections import Counter
from functools import cache
from pathlib import Path
from typing import cast

import pytest

from noisewise.errors import DecodingError
from noisewise.lm import kneser_ney
from noisewise.lm.kneser_ney import train
from noisewise.lm.loading import load
from noisewise.lm.ngram import NGram
from noisewise.lm.protocol import LN_10, sentence_score


def corpus(sentences: int = 400, seed: int = 0) -> list[list[str]]:
    """Sentences whose words are Zipf-like and depend on the word before."""
    draw = random.Random(seed)
    words = [f"W{index}" for index in range(300)]
    made = []
    for _ in range(sentences):
        sentence, at = [], 0
        for _ in range(draw.randint(1, 9)):
            at = (int(draw.paretovariate(0.7)) + at // 3) % len(words)
            sentence.append(words[at])
        made.append(sentence)
    return made


def saved(estimate: kneser_ney.Estimate, path: Path) -> NGram:
    estimate.save(path)
    return NGram.load(path)


def test_unigrams_by_hand(tmp_path: Path) -> None:
    """A twice, B once, end three times: y = 1/3, D = 1/3, 1, 3; gamma = (1/3 + 1 + 3) / 6, spread over 4 tokens."""
    estimate = train([["A"], ["A"], ["B"]], order=1)
    assert estimate.levels[0].discounts == pytest.approx((1 / 3, 1.0, 3.0))
    model = saved(estimate, tmp_path / "lm.arpa")
    spread = (1 / 3 + 1 + 3) / 6 / 4
    for token, expected in {"A": 1 / 6 + spread, "B": (2 / 3) / 6 + spread, "</s>": spread, "<unk>": spread}.items():
        assert math.exp(model.score(model.start(), token)[0]) == pytest.approx(expected, abs=1e-6)


def test_bigrams_by_hand(tmp_path: Path) -> None:
    """Too little text for discounts: 0.5, 1, 1.5.

    `A B` and `A C` once, `A` once. Bigrams: <s> A 3, A B 1, A C 1, A </s> 1, B </s> 1, C </s> 1. Unigrams count what
    stands before: A 1, B 1, C 1, </s> 3, sum 6, gamma = (3 * 0.5 + 1.5) / 6 = 0.5, over 5 tokens.
    """
    estimate = train([["A", "B"], ["A", "C"], ["A"]], order=2)
    assert [level.is_estimated for level in estimate.levels] == [False, False]
    model = saved(estimate, tmp_path / "lm.arpa")
    low = {"A": 0.5 / 6 + 0.1, "B": 0.5 / 6 + 0.1, "</s>": 1.5 / 6 + 0.1, "<unk>": 0.1}
    start = model.start()
    assert math.exp(model.score(start, "A")[0]) == pytest.approx(1.5 / 3 + 1.5 / 3 * low["A"], abs=1e-6)
    assert math.exp(model.score(start, "B")[0]) == pytest.approx(1.5 / 3 * low["B"], abs=1e-6)
    after_a = model.score(start, "A")[1]
    assert math.exp(model.score(after_a, "B")[0]) == pytest.approx(0.5 / 3 + 1.5 / 3 * low["B"], abs=1e-6)
    assert math.exp(model.end(after_a)) == pytest.approx(0.5 / 3 + 1.5 / 3 * low["</s>"], abs=1e-6)
    assert math.exp(model.score(after_a, "X")[0]) == pytest.approx(1.5 / 3 * low["<unk>"], abs=1e-6)


def reference(sentences: list[list[str]], order: int, prune: list[int]):  # type: ignore[no-untyped-def]
    """P(w | h) by the recursion of the paper, with dictionaries."""
    raw: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order + 1)]
    for sentence in sentences:
        marked = ("<s>", *sentence, "</s>")
        for k in range(1, order + 1):
            raw[k].update(marked[at : at + k] for at in range(len(marked) - k + 1))
    counts: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order + 1)]
    counts[order] = raw[order].copy()
    for k in range(1, order):
        for gram in raw[k + 1]:
            counts[k][gram[1:]] += 1
        for gram in raw[k]:
            if gram[0] == "<s>" and k > 1:
                counts[k][gram] = raw[k][gram]
    words = {gram[0] for gram in raw[1]} - {"<s>"} | {"<unk>"}
    discounts = []
    for k in range(1, order + 1):
        n = Counter(counts[k].values())
        y = n[1] / (n[1] + 2 * n[2])
        discounts.append([0.0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]])

    def probability(word: str, history: tuple[str, ...]) -> float:
        lower = 1 / len(words) if not history else given(word, history[1:])
        k = len(history) + 1
        following = {g: c for g, c in counts[k].items() if g[:-1] == history and g != ("<s>",)}
        total = sum(following.values())
        if not total:
            return lower
        kept = {g for g in following if k == 1 or raw[k][g] > prune[k - 1]}
        discount = {g: discounts[k - 1][min(c, 3)] for g, c in following.items()}
        left = sum(discount[g] if g in kept else c for g, c in following.items())
        gram = (*history, word)
        own = following[gram] - discount[gram] if gram in kept else 0.0
        return own / total + left / total * lower

    given = cache(probability)
    return given, words


@pytest.mark.parametrize("prune", [[0, 0, 0], [0, 0, 1], [0, 1, 2]])
def test_the_recursion_of_the_paper_and_sums_to_one(tmp_path: Path, prune: list[int]) -> None:
    sentences = corpus()
    estimate = train(sentences, order=3, prune=prune)
    assert all(level.is_estimated for level in estimate.levels)
    model = saved(estimate, tmp_path / "lm.arpa")
    expected, words = reference(sentences, 3, prune)
    draw = random.Random(1)
    for _ in range(25):
        state, history = model.start(), cast("tuple[str, ...]", ("<s>",))
        for token in draw.choices(sorted(words - {"</s>", "<unk>"}), k=draw.randint(0, 3)):
            state, history = model.score(state, token)[1], (*history, token)
        given = {word: math.exp(model.score(state, word)[0]) for word in words}
        assert sum(given.values()) == pytest.approx(1, abs=1e-5)
        for word, found in given.items():
            assert found == pytest.approx(expected(word, history[-2:]), rel=1e-4)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_orders_and_a_small_vocabulary_sum_to_one(tmp_path: Path, order: int) -> None:
    estimate = train(corpus(), order=order, vocabulary=10)
    assert len(estimate.vocabulary) == 13
    model = saved(estimate, tmp_path / "lm.arpa.gz")
    state = model.start()
    for token in ("W1", "none", "W2", "W0"):
        state = model.score(state, token)[1]
        total = sum(math.exp(model.score(state, word)[0]) for word in estimate.vocabulary if word != "<s>")
        assert total == pytest.approx(1, abs=1e-5)


def test_frequent_words_are_kept() -> None:
    estimate = train([["A", "B", "B"], ["C", "C", "B"]], order=2, vocabulary=2)
    assert estimate.vocabulary == ["<unk>", "<s>", "</s>", "B", "C"]


def test_pruned_models_are_smaller_and_foresee_worse(tmp_path: Path) -> None:
    sentences = corpus()
    whole, pruned = train(sentences, order=3), train(sentences, order=3, prune=[0, 0, 1])
    assert len(pruned.levels[2].log10) < len(whole.levels[2].log10)
    assert len(pruned.levels[1].log10) == len(whole.levels[1].log10)
    models = [saved(each, tmp_path / f"{at}.arpa") for at, each in enumerate((whole, pruned))]
    scores = [sum(sentence_score(model, sentence) for sentence in sentences) for model in models]
    assert scores[1] < scores[0]


@pytest.mark.parametrize("prune", [(), (0, 0, 1)])
def test_kenlm_reads_what_we_write(tmp_path: Path, prune: tuple[int, ...]) -> None:
    pytest.importorskip("flashlight.lib.text.decoder.kenlm")
    sentences = corpus()
    train(sentences, order=3, prune=prune).save(tmp_path / "lm.arpa")
    ours = load(tmp_path / "lm.arpa")
    theirs = load(tmp_path / "lm.arpa", "flashlight", vocabulary=[f"W{index}" for index in range(300)])
    for sentence in [*sentences[:50], ["W1", "none", "W299", "W298", "W2"]]:
        assert sentence_score(theirs, sentence) == pytest.approx(sentence_score(ours, sentence), abs=2e-5)


@pytest.mark.parametrize(
    ("sentences", "options", "message"),
    [
        ([], {}, "holds none"),
        ([[]], {}, "holds none"),
        ([["A B"]], {}, "without blanks"),
        ([["<s>"]], {}, "normalise"),
        ([["A"]], {"order": 0}, "order"),
        ([["A"]], {"order": 2, "prune": [0, 0, 0]}, "at most 2"),
        ([["A"]], {"order": 3, "prune": [0, 2, 1]}, "do not fall"),
        ([["A"]], {"vocabulary": 0}, "vocabulary"),
    ],
)
def test_what_makes_no_model_is_refused(sentences: list[list[str]], options: dict[str, int], message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        train(sentences, **options)  # type: ignore[arg-type]


def test_the_unit_is_the_natural_logarithm(tmp_path: Path) -> None:
    estimate = train(corpus(), order=1)
    model = saved(estimate, tmp_path / "lm.arpa")
    at = estimate.vocabulary.index("W1")
    assert model.score(model.start(), "W1")[0] == pytest.approx(estimate.levels[0].log10[at] * LN_10, abs=1e-6)
