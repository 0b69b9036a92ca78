"""Hotwords of a Whisper with a CTC head: letters propose them, decoder and letters together judge.

The search by CTC with hotwords says where one may have been said. There it takes the place of what the decoder has
written, in the spelling of the user and with the punctuation that stood there; whether it stays is decided by the
joint score with the boost,

    (1 - w) ln P_att + w ln P_ctc + sum over occurrences of hotwords of boost * letters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from noisewise.decoding.ctc.beam import PrefixBeam
from noisewise.decoding.fusion.hotwords import bounded
from noisewise.decoding.hypothesis import Hypothesis, Word
from noisewise.text.normalise import fitting


@dataclass(frozen=True)
class ProposedHotwords:
    """Hotwords, and the search that proposes them."""

    spellings: Mapping[str, str]
    """Of each hotword in the letters of the head, as the user writes it."""
    boosts: Mapping[str, float]
    """Of each, per letter."""
    proposer: PrefixBeam
    """The search by CTC, with the hotwords in its fusion."""

    def texts(self, words: Sequence[Word], proposed: Sequence[Hypothesis]) -> list[str]:
        """Texts with hotwords in the place of other words; several cases of each, for the decoder to choose from.

        Args:
            words: of the decoder, with times.
            proposed: hypotheses of the search by CTC, with times.
        """
        found: dict[str, None] = {}
        for hypothesis in proposed:
            places = list(self._places(hypothesis.words))
            for cased in (str, str.lower, _capitalised) if places else ():
                text = [word.text for word in words]
                for phrase, start, end in reversed(places):
                    _put(text, words, cased(self.spellings[phrase]), start, end)
                found[" ".join(filter(None, text))] = None
        found.pop(" ".join(word.text for word in words), None)
        return list(found)

    def bonus(self, text: str) -> float:
        """What the hotwords of a text earn."""
        words = fitting(self.proposer.tokenizer.symbols)(text).split()
        return sum(
            bounded(self.boosts[phrase], letters) * letters
            for phrase in self._occurrences(words)
            for letters in [sum(map(len, phrase.split()))]
        )

    def _occurrences(self, words: Sequence[str]) -> Iterator[str]:
        for phrase in self.boosts:
            size = len(phrase.split())
            for at in range(len(words) - size + 1):
                if " ".join(words[at : at + size]) == phrase:
                    yield phrase

    def _places(self, words: Sequence[Word]) -> Iterator[tuple[str, float, float]]:
        """Each occurrence of a hotword, from the first on: what, from when, until when."""
        at = 0
        while at < len(words):
            sizes = {len(phrase.split()): phrase for phrase in self.boosts if self._begins(words[at:], phrase)}
            size = max(sizes, default=0)
            if size:
                yield sizes[size], words[at].start, words[at + size - 1].end
            at += max(1, size)

    @staticmethod
    def _begins(words: Sequence[Word], phrase: str) -> bool:
        wanted = phrase.split()
        return [word.text for word in words[: len(wanted)]] == wanted


def _put(text: list[str], words: Sequence[Word], phrase: str, start: float, end: float) -> None:
    """Put a phrase in the place of the words that were said while it was; nothing where there were none."""
    inside = [at for at, word in enumerate(words) if _shared(word, start, end) > 0.5 * (word.end - word.start)]
    if inside:
        first, last = text[inside[0]], text[inside[-1]]
        before = first[: len(first) - len(first.lstrip("\"'([¿¡"))]
        behind = last[len(last.rstrip(".,;:!?\"')]")) :]
        text[inside[0] : inside[-1] + 1] = [before + phrase + behind, *[""] * (inside[-1] - inside[0])]


def _shared(word: Word, start: float, end: float) -> float:
    """Seconds that a word shares with a stretch."""
    return min(word.end, end) - max(word.start, start)


def _capitalised(phrase: str) -> str:
    return " ".join(word[:1].upper() + word[1:].lower() for word in phrase.split())
