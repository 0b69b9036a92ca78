"""Which transcripts of a recogniser are good enough to learn from.

A transcript is kept where the recogniser is sure of it, or where a second one, with errors of its own, says the same
(cross-system agreement), unless it is no plausible text of its recording: empty, at an impossible rate, or repeating
itself, as decoders with attention do on noise (Radford et al. 2022, section 4.5).
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from noisewise.errors import ConfigError
from noisewise.evaluation.systems.protocol import Failure
from noisewise.labelling.transcription import Transcription
from noisewise.scoring.words import score
from noisewise.text.normalise import ENGLISH, Normaliser

LONGEST_PHRASE = 10
"""Words of the longest phrase whose repetitions are counted."""
REASONS = {
    "audio": "cannot be read",
    "failed": "the recogniser failed",
    "empty": "no words",
    "rate": "too many or too few words a second",
    "repetition": "repeats itself",
    "numerals": "holds what the normaliser removes, such as digits",
    "disagreement": "the recognisers disagree",
    "unsure": "the recogniser is not sure",
}
"""Why an entry is left out."""


@dataclass(frozen=True)
class Criteria:
    """Bounds of what is kept."""

    confidence: float | None = None
    """Least mean confidence of the words at which a transcript is kept, 0 to 1; 0 for every one, also of recognisers
    without confidences."""
    log_probability: float | None = None
    """Least mean logarithm of the confidences of the words at which a transcript is kept."""
    agreement: float | None = None
    """Largest word error rate of the second transcript against the first at which the first is kept."""
    words_per_second: tuple[float, float] = (0.2, 6.0)
    """Lowest and highest rate of speaking."""
    compression_ratio: float = 2.4
    """Largest ratio of the bytes of a text to those of its zlib form; that of Whisper."""
    repetitions: int = 3
    """Most times that a phrase may stand in a row."""
    keeps_numerals: bool = False
    """Whether texts stay of which the normaliser removes something that is spoken."""
    normaliser: Normaliser = field(default=ENGLISH)
    """Form in which two transcripts are compared, and words are counted."""

    def __post_init__(self) -> None:
        shares = {"confidence": self.confidence, "agreement": self.agreement}
        for name, value in shares.items():
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"`{name}` must be between 0 and 1, but is {value} instead; choose another")
        if self.log_probability is not None and not self.log_probability <= 0:
            raise ConfigError(f"`log_probability` must be 0 or less, but is {self.log_probability} instead")
        low, high = self.words_per_second
        if not 0 <= low < high:
            raise ConfigError(f"`words_per_second` must be LOW HIGH with 0 <= LOW < HIGH, but are {low} {high} instead")
        if not self.compression_ratio > 0 or self.repetitions < 1:
            raise ConfigError(
                "`compression_ratio` must be above 0 and `repetitions` 1 or more, but are "
                f"{self.compression_ratio} and {self.repetitions} instead"
            )

    @property
    def needs_confidences(self) -> bool:
        """Whether nothing can be kept without confidences of the first recogniser."""
        return self.agreement is None and self.confidence != 0


@dataclass(frozen=True)
class Judgement:
    """Whether a transcript is kept, and what was measured."""

    reasons: list[str]
    """Keys of `REASONS`; empty where it is kept."""
    scores: dict[str, Any]
    """What the decision rests on: confidence, log_probability, disagreement."""


def judged(transcripts: Sequence[Transcription | Failure], seconds: float, criteria: Criteria) -> Judgement:
    """Judge the transcript of one recording.

    Args:
        transcripts: that of the first recogniser, and of the second if there is one.
        seconds: length of the recording.
        criteria: the bounds.
    """
    first = transcripts[0]
    if isinstance(first, Failure):
        return Judgement(["failed"], {"failure": first.reason})
    words = criteria.normaliser(first.text).split()
    if not words:
        return Judgement(["empty"], {})
    scores = _scores(first, transcripts[1:], criteria)
    sure = _is_sure(scores, criteria)
    agreed = criteria.agreement is not None and scores.get("disagreement", 1.0) <= criteria.agreement
    found = {
        "rate": not criteria.words_per_second[0] <= len(words) / seconds <= criteria.words_per_second[1],
        "repetition": longest_run(words) > criteria.repetitions
        or compression_ratio(first.text) > criteria.compression_ratio,
        "numerals": not criteria.keeps_numerals and bool(criteria.normaliser.lost(first.text)),
        "disagreement" if criteria.agreement is not None else "unsure": not sure and not agreed,
    }
    return Judgement([reason for reason, is_so in found.items() if is_so], scores)


def compression_ratio(text: str) -> float:
    """Bytes of a text over those of its zlib form: high where it repeats itself (Radford et al. 2022, section 4.5).

    Example:
        >>> compression_ratio("and so on " * 40) > 2.4 > compression_ratio("There once was a man from Nantucket.")
        True
    """
    content = text.encode(errors="surrogatepass")
    return len(content) / len(zlib.compress(content))


def longest_run(words: Sequence[str]) -> int:
    """How often a phrase of at most `LONGEST_PHRASE` words stands in a row, at most.

    Example:
        >>> longest_run("so it goes it goes it goes on".split())
        3
    """
    most = min(1, len(words))
    for size in range(1, min(LONGEST_PHRASE, len(words) // 2) + 1):
        same = 0  # words in a row that are equal to the one `size` before
        for place in range(size, len(words)):
            same = same + 1 if words[place] == words[place - size] else 0
            most = max(most, 1 + same // size)
    return most


def _scores(first: Transcription, others: Sequence[Transcription | Failure], criteria: Criteria) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    if first.confidence is not None:
        scores["confidence"] = round(first.confidence, 4)
    if first.log_probability is not None:
        scores["log_probability"] = round(first.log_probability, 4)
    for second in others:
        text = "" if isinstance(second, Failure) else second.text
        found = score([first.text], [text], normaliser=criteria.normaliser)
        scores |= {"disagreement": round(found.wer, 4), "second_text": text}
        if isinstance(second, Failure):
            scores["second_failure"] = second.reason
    return scores


def _is_sure(scores: dict[str, Any], criteria: Criteria) -> bool:
    """Whether a bound on confidences is asked for, and each that is asked for is met."""
    bounds = {"confidence": criteria.confidence, "log_probability": criteria.log_probability}
    asked = {name: bound for name, bound in bounds.items() if bound is not None}
    lowest = {"confidence": 0.0, "log_probability": float("-inf")}
    return bool(asked) and all(scores.get(name, lowest[name]) >= bound for name, bound in asked.items())
