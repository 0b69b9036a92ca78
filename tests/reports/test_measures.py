"""Cells of the tables beside the rates."""

import pytest

from noisewise.evaluation.result import Rate, SnrThresholds, SpeechFree, Threshold
from noisewise.reports.measures import compared_thresholds, speech_free, threshold


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (Threshold(3.93, [1.7, 6.8]), "3.9 (1.7 to 6.8)"),
        (Threshold(None, [0.0, 0.0], "below"), "below 0"),
        (Threshold(None, [0.0, 1.2], "below"), "below 0 (0.0 to 1.2)"),
        (Threshold(None, [18.0, 20.0], "above"), "above 20 (18.0 to 20.0)"),
        (Threshold(None, None, "undefined"), "undefined"),
    ],
)
def test_a_threshold_says_where_it_lies(one: Threshold, text: str) -> None:
    assert threshold(one) == text


def test_thresholds_of_several_systems() -> None:
    found = {"car": SnrThresholds(Threshold(3.0, [2.0, 4.0]), Threshold(1.0, [0.0, 2.0]))}
    assert compared_thresholds(["a", "b"], [found, {**found, "cafe": found["car"]}], doubled=False) == [
        ["SNR (dB) at which WER reaches 50 %", "a", "b"], ["car", "1.0 (0.0 to 2.0)", "1.0 (0.0 to 2.0)"],
    ]  # fmt: skip


def test_hallucinated_words_by_type() -> None:
    found = SpeechFree(
        "noise", 3, 150.0, Rate(4.0, [0.0, 8.0]), Rate(2 / 3, [0.0, 1.0]), ["a", "b", "c"], ["car", "cafe", "car"],
        [30.0, 60.0, 60.0], [3, 7, 0], "",
    )  # fmt: skip
    assert speech_free(found)[1:] == [
        ["cafe", "1.0", "7.0", "100.0"], ["car", "1.5", "2.0", "50.0"],
        ["all", "2.5", "4.0 (0.0 to 8.0)", "66.7 (0.0 to 100.0)"],
    ]  # fmt: skip
