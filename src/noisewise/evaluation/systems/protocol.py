"""What a system under test is: a name, and a function from waveforms to hypotheses, or failures with a reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import RecogniserError

if TYPE_CHECKING:
    pass


A = TypeVar("A")


Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Failure:
    """Stands where a text should be when a recogniser gave none."""

    reason: str


Heard = str | Failure


Recognise = Callable[[list[Waveform]], Sequence[Heard]]


@dataclass(frozen=True)
class NamedRecogniser:
    """A recogniser and what a reader of its scores must know about it."""

    name: str
    """The specification it was made from."""
    recognise: Recognise
    details: dict[str, str] = field(default_factory=dict)
    """For instance the hash of the weights, or the versions of the libraries."""


def attempt(recognise: Recognise, waveforms: list[Waveform]) -> list[Heard]:
    """Ask a recogniser; see `asked`.

    Raises:
        RecogniserError: it gave something other than one text per waveform.
    """
    return asked(recognise, waveforms, _checked)


def asked(
    ask: Callable[[list[Waveform]], object],
    waveforms: list[Waveform],
    checked: Callable[[object, int], list[A | Failure]],
) -> list[A | Failure]:
    """Ask someone who hears; when he raises, ask again one by one, so that only the culprits fail.

    Args:
        ask: takes the waveforms.
        waveforms: (T,) each.
        checked: what was answered, and the number of waveforms, as a list of so many answers.

    Raises:
        RecogniserError: what was answered is no such list.
    """
    try:
        return checked(ask(waveforms), len(waveforms))
    except RecogniserError:
        raise
    except Exception as error:
        if len(waveforms) == 1:
            return [Failure(f"{type(error).__name__}: {error}")]
        return [heard for waveform in waveforms for heard in asked(ask, [waveform], checked)]


def pcm16(waveform: Waveform) -> tuple[NDArray[np.int16], float]:
    """A waveform as 16-bit samples, and the factor it was multiplied by to fit. (T,) -> (T,)

    Waveforms within [-1, 1] keep their level (factor 1.0), and those read from 16-bit files their exact
    samples; louder ones, as mixtures can be, are scaled to a peak of 1.
    """
    peak = float(np.max(np.abs(waveform), initial=0.0))
    scale = 1.0 if peak <= 1.0 else 1.0 / peak
    samples = np.rint(waveform.astype(np.float64) * (scale * 32768))
    return np.clip(samples, -32768, 32767).astype(np.int16), scale


def _checked(answers: object, count: int) -> list[Heard]:
    if not isinstance(answers, Sequence) or isinstance(answers, str):
        raise RecogniserError(
            f"a recogniser must return a list of texts, but returned {type(answers).__name__} instead"
        )
    if len(answers) != count:
        raise RecogniserError(
            f"a recogniser must return one text per waveform, {count}, but returned {len(answers)} instead"
        )
    strange = [type(answer).__name__ for answer in answers if not isinstance(answer, str | Failure)]
    if strange:
        raise RecogniserError(
            f"a recogniser must return texts, but returned {strange[0]} instead; "
            "raise an error, or return a Failure, where there is no text"
        )
    return list(answers)
