"""What turns recordings into transcripts: a noisewise model, or any other recogniser."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from noisewise.errors import ConfigError

if TYPE_CHECKING:
    from noisewise.inference.sources import Input
    from noisewise.inference.transcript import Transcript

Times = Literal["words", "segments", "none"]
"""What a recogniser can tell the times of."""
OF_WORDS, OF_SEGMENTS = frozenset({"ctm"}), frozenset({"srt", "vtt", "rttm", "textgrid"})
"""Forms that need the times of words, and forms that need those of segments at least."""


class Transcriber(Protocol):
    """Turns recordings into transcripts; `noisewise.inference.recogniser.Recogniser` is one."""

    least_confidence: float
    """Stretches of words of less mean confidence are no speech; 0 keeps all."""

    @property
    def times(self) -> Times:
        """What it can tell the times of."""

    @property
    def identity(self) -> str:
        """What tells it apart from others: a hash of its weights, options and versions."""

    def each(
        self,
        sources: "Sequence[Input]",
        *,
        strict: bool = False,
        hotwords: Mapping[str, float | None] | None = None,
        batch_seconds: float = 120.0,
        window_seconds: float | None = None,
    ) -> "Iterator[tuple[int, Transcript]]":
        """Position among the recordings and transcript of each, as soon as it is ready."""


def must_tell_times(form: str, times: Times, model: str) -> None:
    """Refuse a form that needs times which a recogniser does not tell.

    Args:
        form: a key of `noisewise.inference.transcript.WRITERS`.
        times: what it tells.
        model: its specification, for the message.

    Raises:
        ConfigError: the form needs more.

    Example:
        >>> must_tell_times("ctm", "segments", "hf:openai/whisper-tiny")
        Traceback (most recent call last):
        noisewise.errors.ConfigError: ctm must have the times of words, but `hf:openai/whisper-tiny` tells those of \
segments alone; take srt, vtt, rttm or textgrid, or align its texts with noisewise align
    """
    if form in OF_WORDS and times == "segments":
        raise ConfigError(
            f"{form} must have the times of words, but `{model}` tells those of segments alone; take "
            "srt, vtt, rttm or textgrid, or align its texts with noisewise align"
        )
    if form in OF_WORDS | OF_SEGMENTS and times == "none":
        raise ConfigError(
            f"{form} must have times, but `{model}` tells none; take txt, json, tsv or csv, or give --window-seconds, "
            "which cuts recordings at pauses into segments whose times are known"
        )
