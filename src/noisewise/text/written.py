"""Transcripts in the form in which people write: what a decoder with case and punctuation learns.

Many corpora give their transcripts in capitals without punctuation. A decoder that writes sentences, such as Whisper's,
would unlearn to from them; `written` brings them into the form of a sentence. It knows no names, numerals or commas.
"""

import re
from typing import Literal

from noisewise.text.normalise import TAG

WrittenStyle = Literal["as_is", "sentence"]
"""`as_is`: as the manifest has it. `sentence`: texts without lower-case letters in the form of a sentence."""
ENDS = ".!?\u2026:;,"
"""Marks behind which no full stop is put."""
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
"""Letters, apostrophes within."""


def written(text: str, style: WrittenStyle = "sentence") -> str:
    """A transcript as a decoder of written text learns it: single-spaced, without tags such as `<unk>`.

    In the style `sentence`, a text with capitals and no lower-case letter begins with a capital and goes on in lower
    case, and ends with a full stop. Single letters stay capitals, for they are spelled or the word I; "A" alone does
    only beside another spelled letter, elsewhere it is the article.

    Example:
        >>> written("ENTER SIX TWO FOUR"), written("R U B O U T"), written("I SAID A B AND I'M A GRAIN")
        ('Enter six two four.', 'R U B O U T.', "I said A B and I'm a grain.")
        >>> written("Already written, with  case"), written("ENTER  SIX", "as_is")
        ('Already written, with case', 'ENTER SIX')
    """
    text = " ".join(TAG.sub(" ", text).split())
    if style == "as_is" or text.upper() != text or text.lower() == text:
        return text
    words = text.split(" ")
    cased = " ".join(_cased(words, place) for place in range(len(words)))
    first = _WORD.search(cased)
    if first is not None:
        cased = cased[: first.start()] + cased[first.start()].upper() + cased[first.start() + 1 :]
    return cased if cased[-1] in ENDS else f"{cased}."


def _cased(words: list[str], place: int) -> str:
    """One word within its sentence."""
    word = words[place]
    letters = _bare(word)
    if letters.startswith("I'") or letters.startswith("I\u2019"):
        return word[:1] + word[1:].lower()
    if len(letters) != 1:
        return word.lower()
    beside = [_bare(other) for other in (*words[max(place - 1, 0) : place], *words[place + 1 : place + 2])]
    spelled = any(len(other) == 1 and other != "I" for other in beside)
    return word if letters != "A" or spelled else word.lower()


def _bare(word: str) -> str:
    """The letters of a word, without marks around them; the whole word where there are none."""
    found = _WORD.search(word)
    return word if found is None else found[0]
