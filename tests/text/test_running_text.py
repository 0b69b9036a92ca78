from collections import Counter
from pathlib import Path

import pytest

from noisewise.text.running_text import REASONS, Sentence, cleaned, sentences, split


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("It was. It is? It will be!", ["It was.", "It is?", "It will be!"]),
        ("Mr. Bennet and Mrs. Long met Dr. J. Smith.", ["Mr. Bennet and Mrs. Long met Dr. J. Smith."]),
        ("So did I. She did not.", ["So did I.", "She did not."]),
        ('"Oh!" said he. "What is it?" It was nothing', ['"Oh!" said he.', '"What is it?"', "It was nothing"]),
        ("It ended ... and went on.", ["It ended ... and went on."]),
        ("", []),
    ],
)
def test_split(line: str, parts: list[str]) -> None:
    assert split(line) == parts


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('"What was it they said, Davy?', "What was it they said, Davy?"),
        ("I could make it -- I said I could -- and went.", "I could make it, I said I could, and went."),
        ("Davy dear -- ", "Davy dear"),
        ("-- said he; -- and then", "said he; and then"),
        ("\u201cDon\u2019t,\u201d she said\u2014twice", "Don't, she said, twice"),
        ("A well-known _man_ .", "A well-known man."),
    ],
)
def test_cleaned(written: str, text: str) -> None:
    assert cleaned(written) == text
    assert cleaned(text) == text


def test_what_can_be_read_out_is_kept_and_the_rest_counted(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text(
        "We went home early. He came in 1865 or later.\n\n"
        "The others' boats were there. Henry VIII was the king.\n"
        "They said (again) that it was so. It is so.\n"
        "WE WENT HOME, early! It\u2019s a \u03b1 and \u03c9 thing. It\u2019s a fine evening.\n"
    )
    left_out = Counter[str]()
    found = list(sentences([path], words=(4, 6), left_out=left_out))
    assert found == [Sentence("We went home early.", "book.txt", 1), Sentence("It's a fine evening.", "book.txt", 5)]
    assert left_out == {"numerals": 2, "quotes": 1, "length": 2, "repeated": 1, "symbols": 1}
    assert set(left_out) <= set(REASONS)
