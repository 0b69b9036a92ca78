from typing import Any

import pytest

from noisewise.errors import ConfigError
from noisewise.evaluation.systems.protocol import Failure
from noisewise.labelling.criteria import REASONS, Criteria, compression_ratio, judged, longest_run
from noisewise.labelling.transcription import Transcription

GOOD = "The garden was cool and solitary."


def reasons(text: str, second: str | None = None, seconds: float = 3.0, **bounds: Any) -> list[str]:
    transcripts = [Transcription(text, 0.9, -0.1), *([] if second is None else [Transcription(second)])]
    found = judged(transcripts, seconds, Criteria(**bounds)).reasons
    assert set(found) <= set(REASONS)
    return found


def test_one_recogniser_must_be_sure() -> None:
    assert reasons(GOOD, confidence=0.9) == []
    assert reasons(GOOD, confidence=0.91) == ["unsure"]
    assert reasons(GOOD, log_probability=-0.1) == []
    assert reasons(GOOD, log_probability=-0.09) == ["unsure"]
    assert reasons(GOOD, confidence=0.8, log_probability=-0.09) == ["unsure"]


def test_without_confidences_only_a_bound_of_0_keeps() -> None:
    for bound, expected in ((0.0, []), (0.01, ["unsure"])):
        assert judged([Transcription(GOOD)], 3, Criteria(confidence=bound)).reasons == expected
    assert judged([Transcription(GOOD)], 3, Criteria(log_probability=-9.0)).reasons == ["unsure"]


def test_two_recognisers_must_agree() -> None:
    assert reasons(GOOD, "THE GARDEN, was cool; and solitary", agreement=0.0) == []
    assert reasons(GOOD, "the garden was cool and military", agreement=0.2) == []  # 1 of 6 words
    assert reasons(GOOD, "the garden was cool and military", agreement=0.1) == ["disagreement"]
    assert reasons(GOOD, "", agreement=0.5) == ["disagreement"]
    assert judged([Transcription(GOOD), Failure("x")], 3, Criteria(agreement=0.5)).reasons == ["disagreement"]


def test_the_rate_is_of_the_first() -> None:
    """One word inserted into six is 1/6 of the first, and 1/7 of the second."""
    assert reasons(GOOD, "the garden was very cool and solitary", agreement=0.15) == ["disagreement"]


def test_agreement_or_a_bound_on_confidence_is_enough() -> None:
    assert reasons(GOOD, "no", agreement=0.1, confidence=0.8) == []
    assert reasons(GOOD, GOOD, agreement=0.1, confidence=0.99) == []
    assert reasons(GOOD, "no", agreement=0.1, confidence=0.99) == ["disagreement"]


def test_limits_hold_whatever_the_recognisers_say() -> None:
    assert reasons("...", confidence=0.0) == ["empty"]
    assert reasons(GOOD, seconds=0.9, confidence=0.0) == ["rate"]  # 6 words in less than a second
    assert reasons(GOOD, seconds=1.0, confidence=0.0) == []
    assert reasons(GOOD, seconds=31, confidence=0.0) == ["rate"]
    assert reasons("so it was no no no no good", seconds=3, confidence=0.0) == ["repetition"]
    assert reasons("so it was no no no no good", seconds=3, confidence=0.0, repetitions=4) == []
    assert reasons("it is in chapter 4", confidence=0.0) == ["numerals"]
    assert reasons("it is in chapter 4", confidence=0.0, keeps_numerals=True) == []
    assert reasons("thank you " * 20, seconds=2, confidence=0.99) == ["rate", "repetition", "unsure"]


def test_a_failure_is_not_an_empty_text() -> None:
    found = judged([Failure("no answer")], 3, Criteria(confidence=0.0))
    assert found.reasons == ["failed"] and found.scores == {"failure": "no answer"}


def test_what_was_measured() -> None:
    found = judged([Transcription(GOOD, 0.91234, -0.12345), Transcription("the garden")], 3, Criteria(agreement=0.1))
    assert found.scores == {
        "confidence": 0.9123,
        "log_probability": -0.1235,
        "disagreement": 0.6667,
        "second_text": "the garden",
    }


@pytest.mark.parametrize(
    ("text", "times"),
    [("", 0), ("a b c", 1), ("a a", 2), ("a b a b a", 2), ("x a b c a b c a b c y", 3), ("a b b a b b", 2)],
)
def test_longest_run(text: str, times: int) -> None:
    assert longest_run(text.split()) == times


def test_compression_ratio() -> None:
    assert compression_ratio("na " * 100) > 10 > 2.4 > compression_ratio(GOOD)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"confidence": 1.1}, "`confidence` must be between 0 and 1"),
        ({"agreement": float("nan")}, "`agreement` must be between 0 and 1"),
        ({"log_probability": 0.5}, "must be 0 or less"),
        ({"words_per_second": (3, 3)}, "LOW HIGH"),
        ({"repetitions": 0}, "`repetitions` 1 or more"),
    ],
)
def test_bounds_that_cannot_be(bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Criteria(**bounds)


def test_whether_confidences_are_needed() -> None:
    assert Criteria(confidence=0.5).needs_confidences and Criteria(log_probability=-1.0).needs_confidences
    assert not Criteria(confidence=0.0).needs_confidences and not Criteria(agreement=0.1).needs_confidences
