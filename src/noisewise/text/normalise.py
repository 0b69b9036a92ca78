"""The one text normaliser: transcripts are compared and learned in this form."""

import re
import unicodedata

NORMALISER = "noisewise-en-1"
"""Name of the rules below, stored beside every score; a change of rules is a new name."""

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'"})


def normalise(text: str) -> str:
    """Reduce English text to words of A-Z and apostrophes, in upper case, single-spaced.

    Accents are dropped (`é` is E), hyphens and dashes part words, other punctuation vanishes. Digits are kept
    out on purpose: they have several readings, so a transcript must spell them; they are removed like any other
    character outside the alphabet.

    Example:
        >>> normalise("It's a caf\u00e9 \u2014 number 7!")
        "IT'S A CAFE NUMBER"
    """
    text = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).upper()
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = re.sub(r"[-\u2010-\u2015/_\s]+", " ", text)
    text = re.sub(r"[^A-Z' ]", "", text)
    return " ".join(word for word in text.split() if word.strip("'"))
