"""A system under test: a name, and a function from waveforms to outputs, or failures with a reason.

Legend: T samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import RecogniserError
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


def _described(error: BaseException) -> str:
    """Class and message of an error of any kind, one whose message cannot be made included."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, which has no message"
