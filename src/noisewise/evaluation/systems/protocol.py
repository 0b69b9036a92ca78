"""A system under test: a name, and a function from waveforms to outputs, or failures with a reason.

Legend: T samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.audio.windows import at_pauses
from noisewise.decoding.hypothesis import Segment, Word
from noisewise.errors import RecogniserError
from noisewise.inference.transcriber import Times
from noisewise.safe_text import RUN, received, shortened

OutputT = TypeVar("OutputT")
Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Failure:
    """Stands in the place of an output where a system gave none."""

    reason: str
    """Why there is no output, in one short line without secrets."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", shortened(received(self.reason)))


Output = str | Failure
"""Hypothesis of a recogniser, or why there is none."""
Recognise = Callable[[list[Waveform]], Sequence[Output]]
"""Waveforms (T,) in, one output each out."""


Likelihood = dict[str, tuple[float, int]]
"""Name of a criterion (`ctc`, `attention`) to -ln P(reference | waveform) in nats and its number of tokens; empty where
a reference has none, or fits in no alignment."""
Likelihoods = Callable[[list[Waveform], list[str]], list[Likelihood]]
"""Waveforms (T,) and references in, their negative log-likelihoods out."""


@dataclass(frozen=True)
class Timed:
    """A hypothesis with times, in seconds from the beginning of the waveform."""

    text: str
    """The hypothesis, as without times."""
    words: list[Word] = field(default_factory=list)
    """Its words with times; empty where only those of the segments are known."""
    segments: list[Segment] = field(default_factory=list)
    """Stretches of it; empty where no times are known."""


TimedRecognise = Callable[[list[Waveform]], Sequence[Timed | Failure]]
"""Waveforms (T,) in, a hypothesis with times, or a failure, out for each."""


@dataclass(frozen=True)
class CacheUse:
    """The file of transcripts in front of a recogniser, and what came from it."""

    file: str
    """Name of the file, without its folder."""
    sha256: str
    """Hash of the file when it was read; empty if there was none yet."""
    answers: int
    """Transcripts that came from the file or were repeated within the run."""
    asked: int
    """Utterances that the recogniser was given."""
    broken_lines: int
    """Lines of the file that could not be read."""


@dataclass(frozen=True)
class NamedRecogniser:
    """A recogniser with what a reader of its scores must be told about it."""

    name: str
    """The specification it was made from."""
    recognise: Recognise
    details: dict[str, str] = field(default_factory=dict)
    """Facts about it, such as the hash of the weights, or the versions of the libraries."""
    cache_use: Callable[[], CacheUse] | None = None
    """Use of the cache in front of it; none where there is no cache."""
    likelihoods: Likelihoods | None = None
    """Negative log-likelihoods of references; none for recognisers that give none."""
    times: Times = "none"
    """What it can tell the times of."""
    with_times: TimedRecognise | None = None
    """Recognises with times, where it can tell them; `attempt_timed` calls it."""
    normaliser: str = "english"
    """Name of the normaliser that keeps the letters that it writes; English where they are not known."""


def named_recogniser(recogniser: NamedRecogniser | Recognise) -> NamedRecogniser:
    """A function as a recogniser with a name, its own; one that has a name stays as it is."""
    if isinstance(recogniser, NamedRecogniser):
        return recogniser
    name = getattr(recogniser, "__qualname__", type(recogniser).__qualname__)
    return NamedRecogniser(f"python:{recogniser.__module__}:{name}", recogniser)


def attempt(recognise: Recognise, waveforms: list[Waveform]) -> list[Output]:
    """Run a recogniser; see `run_with_isolation`.

    Raises:
        RecogniserError: it gave something other than one text per waveform.
    """
    return run_with_isolation(recognise, waveforms, _checked)


def attempt_timed(named: NamedRecogniser, waveforms: list[Waveform]) -> list[Timed | Failure]:
    """Run a recogniser with times, or without where it has none; see `run_with_isolation`.

    Raises:
        RecogniserError: it gave something other than one text per waveform.
    """
    if named.with_times is None:
        return [
            output if isinstance(output, Failure) else Timed(output) for output in attempt(named.recognise, waveforms)
        ]
    return run_with_isolation(named.with_times, waveforms, _checked_times)


def in_parts(
    waveform: Waveform, seconds: float, recognise: Callable[[Waveform], "Timed | Failure"]
) -> "Timed | Failure":
    """Recognise a long recording in parts that end at pauses, and join what was recognised.

    Args:
        waveform: (T,)
        seconds: most seconds of a part.
        recognise: a part (T,) to its hypothesis; one without segments is a segment itself.
    """
    texts, words, segments = list[str](), list[Word](), list[Segment]()
    for first, part in at_pauses(waveform, round(seconds * SAMPLE_RATE)):
        found, start = recognise(part), first / SAMPLE_RATE
        if isinstance(found, Failure):
            return found
        texts.append(found.text)
        whole = [Segment(found.text, 0.0, len(part) / SAMPLE_RATE)] if found.text else []
        segments += [replace(each, start=each.start + start, end=each.end + start) for each in found.segments or whole]
        words += [replace(each, start=each.start + start, end=each.end + start) for each in found.words]
    return Timed(" ".join(filter(None, texts)), words, segments)


def run_with_isolation(
    run: Callable[[list[Waveform]], object],
    waveforms: list[Waveform],
    checked: Callable[[object, int], list[OutputT | Failure]],
) -> list[OutputT | Failure]:
    """Run a system on a batch; on an exception, retry one waveform at a time to isolate failures.

    Args:
        run: takes the waveforms.
        waveforms: (T,) each.
        checked: what `run` returned, and the number of waveforms, as a list of so many outputs.

    Raises:
        RecogniserError: what `run` returned is no such list.
    """
    try:
        return checked(run(waveforms), len(waveforms))
    except (RecogniserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a system that calls sys.exit() ends its item, not the run
        if len(waveforms) == 1:
            return [Failure(_described(error))]
        return [output for waveform in waveforms for output in run_with_isolation(run, [waveform], checked)]


def _checked(outputs: object, count: int) -> list[Output]:
    if not isinstance(outputs, Sequence) or isinstance(outputs, str):
        raise RecogniserError(
            f"a recogniser must return a list of texts, but returned {type(outputs).__name__} instead"
        )
    if len(outputs) != count:
        raise RecogniserError(
            f"a recogniser must return one text per waveform, {count}, but returned {len(outputs)} instead"
        )
    strange = [type(output).__name__ for output in outputs if not isinstance(output, str | Failure)]
    if strange:
        raise RecogniserError(
            f"a recogniser must return texts, but returned {strange[0]} instead; "
            "raise an error, or return a Failure, where there is no text"
        )
    return [received(output, shortest=RUN) if isinstance(output, str) else output for output in outputs]


def _checked_times(outputs: object, count: int) -> list[Timed | Failure]:
    assert isinstance(outputs, list) and len(outputs) == count
    return [output if isinstance(output, Failure) else _received(output) for output in outputs]


def _received(timed: Timed) -> Timed:
    """The texts of a hypothesis, without secrets."""
    return Timed(
        received(timed.text, shortest=RUN),
        [replace(word, text=received(word.text, shortest=RUN)) for word in timed.words],
        [replace(segment, text=received(segment.text, shortest=RUN)) for segment in timed.segments],
    )


def _described(error: BaseException) -> str:
    """Class and message of an error of any kind, one whose message cannot be made included."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, which has no message"
