"""How the decoder of Whisper searches, and what decoding knows of its tokenizer."""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from noisewise.config import config, within
from noisewise.errors import DecodingError


@config
class WhisperSearchConfig:
    """How a Whisper writes text."""

    beam: int = 1
    """Hypotheses of each utterance that grow side by side; 1 is greedy."""
    nbest: int = 1
    """Hypotheses returned, best first."""
    ctc_weight: float = 0.3
    """w: share of the CTC head when hypotheses are ranked; none for a model without a head."""
    length_power: float = 1.0
    """Without a head, hypotheses are ranked by ln P_att divided by their length, the end included, to this power."""
    language: str | None = None
    """Code of the language, such as `en`; null: that which a model of many languages finds in each window."""
    task: Literal["transcribe", "translate"] = "transcribe"
    """Whether the text is in the language spoken or in English."""
    suppress_symbols: bool = True
    """Whether marks of what is not said, such as brackets, `#` and notes, are forbidden, as by Whisper itself."""
    may_be_empty: bool = False
    """Whether a text may end before it begins; Whisper itself must write something."""
    tokens_per_second: float = 10.0
    """No text has more tokens than so many for each second, and 8 more; English has about 4, fast speech 7."""
    no_speech: float = 0.6
    """A window whose `no speech` is more probable, and whose text is also less sure than `least_log_prob`, is empty;
    1 for never (Radford et al. 2022, Sec. 4.5)."""
    least_log_prob: float = -1.0
    """See `no_speech`: mean ln P of the tokens and the end."""

    def __post_init__(self) -> None:
        within(1, float("inf"), beam=self.beam, nbest=self.nbest)
        within(0, 1, ctc_weight=self.ctc_weight, no_speech=self.no_speech)
        within(0, float("inf"), length_power=self.length_power)
        if self.nbest > self.beam:
            raise DecodingError(f"`nbest` must be 1 to `beam` ({self.beam}), but is {self.nbest} instead")
        if not self.tokens_per_second > 0:
            raise DecodingError(f"`tokens_per_second` must be more than 0, but is {self.tokens_per_second} instead")


class Pieces(Protocol):
    """The tokenizer of Whisper; see `noisewise.models.whisper.tokenizer.WhisperTokenizer`."""

    special: dict[str, int]

    @property
    def end(self) -> int:
        """The token that ends a text."""
        ...

    @property
    def timestamps(self) -> int:
        """The first of the tokens that are times."""
        ...

    @property
    def no_speech(self) -> int | None:
        """The token that says that nobody speaks."""
        ...

    @property
    def languages(self) -> dict[str, int]:
        """Codes of the languages to their tokens."""
        ...

    @property
    def non_speech(self) -> list[int]:
        """Tokens of what is written but not said."""
        ...

    @property
    def steering(self) -> list[int]:
        """Tokens that a transcript never holds."""
        ...

    def prompt(self, language: str | None = ..., task: Literal["transcribe", "translate"] = ...) -> list[int]:
        """What comes before a text."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids."""
        ...

    def piece(self, index: int) -> bytes:
        """Bytes of an id."""
        ...

    def encode(self, text: str) -> Sequence[int]:
        """Ids of a text."""
        ...
