"""Whether the words of a lexicon or language model can be spelled in the tokens of a recogniser, and what to do."""

import logging
from collections.abc import Collection, Iterable
from functools import cache
from itertools import islice

from noisewise.errors import DecodingError
from noisewise.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

LOOKED_AT = 2000
"""Words of a vocabulary that are tried, evenly spaced."""
FEW = 0.5
"""Share of words that can be spelled below which a warning is due."""


def spells(tokenizer: Tokenizer, word: str) -> bool:
    """Whether a tokenizer writes a word as it is."""
    tokens = tokenizer.encode(word)
    return bool(tokens) and tokenizer.decode(tokens) == word and tokenizer.unknown not in tokens


def must_be_spelled(words: Collection[str], tokenizer: Tokenizer, source: str) -> None:
    """Refuse a vocabulary of which a recogniser can write no word, and warn of one of which it can write few.

    Args:
        words: the vocabulary; without any, nothing is refused.
        tokenizer: of the recogniser.
        source: what holds the words, for the message.

    Raises:
        DecodingError: none can be spelled; the message says what to do.
    """
    tried = list(islice(words, 0, None, max(1, len(words) // LOOKED_AT)))
    share = sum(spells(tokenizer, word) for word in tried) / max(len(tried), 1)
    if not tried or share >= FEW:
        return
    problem = f"words that the recogniser can spell, but {share:.0%} of its words can be; {_remedy(tried, tokenizer)}"
    if share == 0:
        raise DecodingError(f"`{source}` must hold {problem}")
    _warn(f"`{source}` should hold {problem}")


def _remedy(words: Iterable[str], tokenizer: Tokenizer) -> str:
    """What to do about words such as these."""
    wrong = [word for word in words if not spells(tokenizer, word)]
    for change, name in ((str.upper, "capitals"), (str.lower, "small letters")):
        if sum(spells(tokenizer, change(word)) for word in wrong) > FEW * len(wrong):
            return f"check the case: '{wrong[0]}' would have to be in {name}, '{change(wrong[0])}'"
    letters = "".join(symbol for symbol in tokenizer.symbols if len(symbol) == 1)
    return f"check the case and the alphabet: '{wrong[0]}' is not in the letters {letters[:80]}"


@cache
def _warn(message: str) -> None:
    """Warn once, however often a search is built."""
    logger.warning("%s", message)
