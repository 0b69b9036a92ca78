"""The pinned normaliser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisewise.text.normalise import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t stop!", "DON'T STOP"),
        ("well-known — café", "WELL KNOWN CAFE"),
        ("  two\tspaces\n", "TWO SPACES"),
        ("3 o'clock", "O'CLOCK"),
        ("' ''", ""),
        ("", ""),
    ],
)
def test_known_cases(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text())
def test_result_is_within_the_alphabet_and_stays(text: str) -> None:
    once = normalise(text)
    assert set(once) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
    assert "  " not in once and once == once.strip()
    assert normalise(once) == once
