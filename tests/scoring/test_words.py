"""Error counts against hand-counted cases and a second implementation; intervals against known ones."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisewise.errors import EvaluationError
from noisewise.scoring.words import WordErrors, bootstrap, interval, resample, resampled_rates, score
from noisewise.text.normalise import NORMALISER


def edit_distance(reference: list[str], hypothesis: list[str]) -> int:
    """Textbook dynamic programme, the oracle for totals."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, start=1):
        previous, row = row, [i]
        for j, other in enumerate(hypothesis, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (word != other)))
    return row[-1]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("ONE TWO THREE", "ONE TWO THREE", WordErrors(0, 0, 0, 3)),
        ("ONE TWO THREE", "ONE TOO THREE", WordErrors(1, 0, 0, 3)),
        ("ONE TWO THREE", "ONE THREE", WordErrors(0, 1, 0, 3)),
        ("ONE THREE", "ONE TWO THREE", WordErrors(0, 0, 1, 2)),
        ("ONE TWO THREE", "", WordErrors(0, 3, 0, 3)),
        ("A B C D E", "X B D E F", WordErrors(1, 1, 1, 5)),
    ],
)
def test_counts(reference: str, hypothesis: str, expected: WordErrors) -> None:
    assert score([reference], [hypothesis]).words == expected


def test_deletions_and_insertions_are_not_exchanged() -> None:
    assert score(["A B C"], ["A"]).words == WordErrors(0, 2, 0, 3)
    assert score(["A"], ["A B C"]).words == WordErrors(0, 0, 2, 1)
    assert score(["A"], ["A B C"]).wer == 2.0


def test_corpus_rate_weighs_words_and_the_mean_weighs_utterances() -> None:
    result = score(["A", "A B C D E F G H I"], ["X", "A B C D E F G H I"])
    assert result.wer == pytest.approx(1 / 10)
    assert result.mean_utterance_wer == pytest.approx((1 + 0) / 2)


def test_characters_count_the_spaces_between_words() -> None:
    result = score(["AB C"], ["ABC"])
    assert (result.characters.deletions, result.characters.reference_words) == (1, 4)
    assert result.cer == pytest.approx(1 / 4)


def test_both_sides_are_normalised_and_the_rules_are_named() -> None:
    result = score(["It's half-past two!"], ["IT'S HALF PAST TWO"])
    assert result.wer == 0 and result.normaliser == NORMALISER
    raw = score(["yes"], ["Yes"], normaliser=str.strip, normaliser_name="raw")
    assert raw.wer == 1 and raw.normaliser == "raw"


def test_an_empty_reference_counts_insertions_but_has_no_rate() -> None:
    result = score(["A B", "", "..."], ["A B", "NOISE WORDS", ""])
    assert result.words == WordErrors(0, 0, 2, 2)
    assert result.wer == 1.0
    assert result.mean_utterance_wer == 0.0
    assert result.per_utterance[1].rate is None


def test_no_reference_word_at_all_is_refused() -> None:
    with pytest.raises(EvaluationError, match="must hold a word"):
        score(["", "--"], ["A", "B"])
    with pytest.raises(EvaluationError, match="must hold a word"):
        score([], [])


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(EvaluationError, match="one per reference, 2, but are 1"):
        score(["A", "B"], ["A"])


words = st.lists(st.sampled_from(["A", "B", "C", "D"]), max_size=8)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=5))
def test_totals_agree_with_the_textbook_and_pool(pairs: list[tuple[list[str], list[str]]]) -> None:
    pairs = [(["Z"], ["Z"]), *pairs]
    result = score([" ".join(reference) for reference, _ in pairs], [" ".join(hypothesis) for _, hypothesis in pairs])
    totals = [edit_distance(reference, hypothesis) for reference, hypothesis in pairs]
    assert [errors.total for errors in result.per_utterance] == totals
    assert result.words.total == sum(totals)
    for (reference, hypothesis), errors in zip(pairs, result.per_utterance, strict=True):
        assert errors.insertions - errors.deletions == len(hypothesis) - len(reference)
        assert errors.reference_words == len(reference)


def test_every_resample_draws_as_many_as_there_are() -> None:
    times = resample(7, samples=50, seed=1)
    assert times.shape == (50, 7)
    assert (times.sum(axis=1) == 7).all() and times.min() == 0


def test_the_seed_decides() -> None:
    assert (resample(5, seed=3) == resample(5, seed=3)).all()
    assert (resample(5, seed=3) != resample(5, seed=4)).any()


def test_groups_are_drawn_whole() -> None:
    times = resample(6, groups=["a", "a", "b", "a", "c", "c"], samples=200, seed=0)
    assert (times[:, 0] == times[:, 1]).all() and (times[:, 0] == times[:, 3]).all()
    assert (times[:, 4] == times[:, 5]).all()
    assert (times[:, 0] + times[:, 2] + times[:, 4] == 3).all()


def test_groups_must_fit() -> None:
    with pytest.raises(EvaluationError, match="2 groups, 3 utterances"):
        resample(3, groups=["a", "b"])
    with pytest.raises(EvaluationError, match="0 utterances"):
        resample(0)


def test_resampled_rate_is_a_ratio_of_sums() -> None:
    times = np.array([[2, 0], [1, 1], [0, 2]])
    errors, reference_words = np.array([1, 0]), np.array([1, 9])
    assert resampled_rates(times, errors, reference_words).tolist() == [1.0, 0.1, 0.0]
    both = resampled_rates(times, np.stack([errors, errors[::-1]], axis=1), reference_words)
    assert both[:, 0].tolist() == [1.0, 0.1, 0.0]
    assert both[:, 1] == pytest.approx([0.0, 0.1, 1 / 9])


def test_a_resample_without_words_is_left_out() -> None:
    rates = resampled_rates(np.array([[2, 0], [0, 2]]), np.array([1, 1]), np.array([0, 4]))
    assert np.isnan(rates[0]) and rates[1] == 0.25
    assert interval(rates).low == interval(rates).high == 0.25


def test_interval_takes_the_central_share() -> None:
    found = interval(np.arange(101, dtype=float), level=0.9)
    assert (found.low, found.high) == pytest.approx((5.0, 95.0))


def test_bootstrap_has_the_width_of_a_binomial() -> None:
    """1000 one-word utterances at 20 %: the 95 % interval is about 0.2 +- 1.96 sqrt(0.16 / 1000)."""
    errors = [WordErrors(int(i % 5 == 0), 0, 0, 1) for i in range(1000)]
    found = bootstrap(errors, samples=4000, seed=0)
    half = 1.96 * (0.16 / 1000) ** 0.5
    assert found.low == pytest.approx(0.2 - half, abs=0.003)
    assert found.high == pytest.approx(0.2 + half, abs=0.003)


def test_speakers_give_a_wider_interval_when_errors_go_with_them() -> None:
    errors = [WordErrors(int(i < 250), 0, 0, 1) for i in range(1000)]
    speakers = [f"s{i // 50}" for i in range(1000)]
    by_utterance, by_speaker = bootstrap(errors), bootstrap(errors, groups=speakers)
    assert by_speaker.high - by_speaker.low > 3 * (by_utterance.high - by_utterance.low)


def test_no_errors_have_no_width() -> None:
    found = bootstrap(list(itertools.repeat(WordErrors(0, 0, 0, 4), 10)))
    assert (found.low, found.high) == (0.0, 0.0)


def test_a_hypothesis_is_scored_in_its_nearest_reading_and_a_reference_has_one() -> None:
    references, hypotheses = ["ENTER SIX TWO SIX FOUR", "BORN IN 1905"], ["Enter 6264.", "Born in nineteen oh five"]
    found = score(references, hypotheses, normaliser="english-spoken")
    assert found.words.total == 0 and found.words.reference_words == 10 and found.normaliser == "noisewise-en-spoken-1"
    assert score(references, ["Enter 6265.", ""], normaliser="english-spoken").words.total == 6
