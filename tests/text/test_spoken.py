"""Readings of numerals, abbreviations and spelled letters, and the choice among them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisewise.text.spoken import Lattice, cardinals, nearest, readings


def words(text: str) -> list[str]:
    return text.upper().replace(",", " ").replace(".", " ").split()


def usual(text: str) -> str:
    return " ".join(readings(text, words).first())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 7 12 20 21 100 110", "ZERO SEVEN TWELVE TWENTY TWENTY ONE ONE HUNDRED ONE HUNDRED TEN"),
        ("1,234,567", "ONE MILLION TWO HUNDRED THIRTY FOUR THOUSAND FIVE HUNDRED SIXTY SEVEN"),
        ("1905 1900 1984 2000 2005 2024", "NINETEEN OH FIVE NINETEEN HUNDRED NINETEEN EIGHTY FOUR TWO THOUSAND "
         "TWO THOUSAND FIVE TWENTY TWENTY FOUR"),
        ("6264 007", "SIX THOUSAND TWO HUNDRED SIXTY FOUR ZERO ZERO SEVEN"),
        ("1st 2nd 3rd 12th 20th 21st 100th", "FIRST SECOND THIRD TWELFTH TWENTIETH TWENTY FIRST ONE HUNDREDTH"),
        ("1960s and '60s", "NINETEEN SIXTIES AND SIXTIES"),
        ("9:00 9:05 9:30", "NINE NINE OH FIVE NINE THIRTY"),
        ("$1 $2 million \u00a35.50", "ONE DOLLAR TWO MILLION DOLLARS FIVE POUNDS FIFTY"),
        ("3.05 .5 50%", "THREE POINT ZERO FIVE POINT FIVE FIFTY PERCENT"),
        ("1/2 2/3 1/4 9/7", "ONE HALF TWO THIRDS ONE QUARTER NINE SEVEN"),
        ("Mr. Dr St. No. 5 Prof. prof", "MISTER DOCTOR SAINT NUMBER FIVE PROFESSOR PROF"),
        ("A.B.C. and IBM", "A B C AND IBM"),
    ],
)  # fmt: skip
def test_the_usual_reading(text: str, expected: str) -> None:
    assert usual(text) == expected


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("6264", "SIX TWO SIX FOUR"),
        ("6264", "SIXTY TWO SIXTY FOUR"),
        ("6264", "SIX TWENTY SIX FOUR"),
        ("1905", "ONE THOUSAND NINE HUNDRED AND FIVE"),
        ("1905", "NINETEEN HUNDRED FIVE"),
        ("1,500", "FIFTEEN HUNDRED"),
        ("105", "A HUNDRED AND FIVE"),
        ("102", "ONE OH TWO"),
        ("102", "ONE ZERO TWO"),
        ("1800", "ONE EIGHT HUNDRED"),
        ("0", "OH"),
        ("July 4", "JULY THE FOURTH"),
        ("4 July", "FOURTH JULY"),
        ("9:00", "NINE O'CLOCK"),
        ("$5.50", "FIVE DOLLARS AND FIFTY CENTS"),
        ("50%", "FIFTY PER CENT"),
        ("RUBOUT.", "R U B O U T"),
        ("U.S.", "US"),
        ("St. 12", "STREET ONE TWO"),
    ],
)
def test_the_reading_that_the_reference_has(text: str, reference: str) -> None:
    assert " ".join(nearest(readings(text, words), reference.split())) == reference


@pytest.mark.parametrize(
    ("text", "reference"), [("4", "FOURTH"), ("12", "ELEVEN"), ("6264", "SIX TWO SIX"), ("rubout", "R U B O U T")]
)
def test_what_is_no_reading_stays_wrong(text: str, reference: str) -> None:
    assert " ".join(nearest(readings(text, words), reference.split())) != reference


def test_words_in_capitals_are_spelled_only_where_the_reference_spells() -> None:
    assert readings("GO", words, set()).is_single and not readings("GO", words, {"O"}).is_single


@given(st.integers(0, 10**12))
def test_every_way_to_say_a_number_holds_its_digits_once(number: int) -> None:
    ways = cardinals(number)
    assert len(set(ways)) == len(ways) <= 4
    for way in ways:
        assert _value(way) == number


def _value(way: tuple[str, ...]) -> int:
    """A number from its words, by hand."""
    names = "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE TEN ELEVEN TWELVE THIRTEEN FOURTEEN FIFTEEN SIXTEEN "
    small = {name: value for value, name in enumerate((names + "SEVENTEEN EIGHTEEN NINETEEN").split())}
    tens = {
        name: 10 * value
        for value, name in enumerate(["TWENTY", "THIRTY", "FORTY", "FIFTY", "SIXTY", "SEVENTY", "EIGHTY", "NINETY"], 2)
    }
    scales = {"THOUSAND": 10**3, "MILLION": 10**6, "BILLION": 10**9, "TRILLION": 10**12}
    total = part = 0
    for word in way:
        if word in scales:
            total, part = total + part * scales[word], 0
        elif word == "HUNDRED":
            part *= 100
        else:
            part += {**small, **tens, "A": 1, "AND": 0}[word]
    return total + part


PIECES = st.lists(st.lists(st.lists(st.sampled_from("AB"), max_size=2).map(tuple), min_size=1, max_size=3), max_size=4)


@given(PIECES, st.lists(st.sampled_from("ABC"), max_size=5))
def test_the_nearest_path_has_the_fewest_edits_of_all(slots: list[list[tuple[str, ...]]], reference: list[str]) -> None:
    lattice = Lattice()
    for slot in slots:
        lattice.add(slot)
    paths = [tuple(word for part in path for word in part) for path in itertools.product(*slots)]
    found = nearest(lattice, reference)
    assert found in paths
    assert _distance(found, reference) == min(_distance(path, reference) for path in paths)
    assert lattice.first() == paths[0]


def _distance(first: tuple[str, ...], second: list[str]) -> int:
    """Edit distance by its definition."""
    if not first or not second:
        return len(first) + len(second)
    if first[0] == second[0]:
        return _distance(first[1:], second[1:])
    return 1 + min(_distance(first[1:], second), _distance(first, second[1:]), _distance(first[1:], second[1:]))
