"""Three ways to give several numbers."""

import pytest

from noisewise.cli.lists import spread


@pytest.mark.parametrize(
    "words",
    [
        ["--snr", "0", "5", "10"],
        ["--snr", "0,5,10"],
        ["--snr=0,5,10"],
        ["--snr=0", "5", "10"],
        ["--snr", "0", "--snr", "5", "--snr=10"],
        ["--snr", "0,5", "10"],
    ],
)
def test_they_mean_the_same(words: list[str]) -> None:
    spreaded = ["--snr=0", "--snr=5", "--snr=10"]
    assert spread([*words, "--output", "x"], ["--snr"]) == [*spreaded, "--output", "x"]
    assert spread(["m", *words], ["--snr"]) == ["m", *spreaded]


def test_negative_and_fractional_numbers_are_numbers() -> None:
    assert spread(["--snr", "-5", "2.5", "1e1"], ["--snr"]) == ["--snr=-5", "--snr=2.5", "--snr=1e1"]


def test_other_words_stay_where_they_are() -> None:
    assert spread(["--snr", "0", "manifest", "7"], ["--snr"]) == ["--snr=0", "manifest", "7"]
    assert spread(["--seed", "0", "5"], ["--snr"]) == ["--seed", "0", "5"]
    assert spread(["--snr", "low", "5"], ["--snr"]) == ["--snr", "low", "5"]
    assert spread(["--snr"], ["--snr"]) == ["--snr"]
    assert spread(["--snr", "0", "a=b", "5"], ["--snr"]) == ["--snr=0", "a=b", "5"]
    assert spread(["--columns", "path=a b", "text=c=d", "in", "x=y"], ["--columns"]) == [
        "--columns=path=a b",
        "--columns=text=c=d",
        "in",
        "x=y",
    ]
    assert spread(["--", "--snr", "0", "5"], ["--snr"]) == ["--", "--snr", "0", "5"]
    assert spread(["--snr", "0", "--", "5"], ["--snr"]) == ["--snr=0", "--", "5"]
    assert spread(["a", "--snr", "0", "5"], []) == ["a", "--snr", "0", "5"]
