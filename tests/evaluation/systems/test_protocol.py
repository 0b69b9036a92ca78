"""What a system must return, and what becomes of a batch in which it fails."""

import numpy as np
import pytest

from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Waveform, attempt, named_recogniser

SOUNDS = [np.full(length, 0.1, dtype=np.float32) for length in (10, 20, 30)]


def lengths(waveforms: list[Waveform]) -> list[str]:
    """The length of each as a text; 20 samples are an error."""
    if any(len(one) == 20 for one in waveforms):
        raise ValueError("no twenty")
    return [str(len(one)) for one in waveforms]


def test_an_exception_is_isolated_to_its_waveform() -> None:
    calls: list[int] = []

    def counted(waveforms: list[Waveform]) -> list[str]:
        calls.append(len(waveforms))
        return lengths(waveforms)

    assert attempt(counted, SOUNDS) == ["10", Failure("ValueError: no twenty"), "30"]
    assert calls == [3, 1, 1, 1], "the batch, then one after another"


def test_an_error_of_the_recogniser_itself_ends_the_run() -> None:
    def broken(waveforms: list[Waveform]) -> list[str]:
        raise RecogniserError("no server")

    with pytest.raises(RecogniserError, match="no server"):
        attempt(broken, SOUNDS)


@pytest.mark.parametrize(
    ("outputs", "message"), [(["A"], "one text per waveform, 3"), ([None] * 3, "NoneType"), ("ABC", "returned str")]
)
def test_other_outputs_are_refused(outputs: object, message: str) -> None:
    with pytest.raises(RecogniserError, match=message):
        attempt(lambda _: outputs, SOUNDS)  # type: ignore[arg-type, return-value]


def test_a_function_has_its_own_name() -> None:
    assert named_recogniser(lengths).name == f"python:{__name__}:lengths"
    named = NamedRecogniser("box", lengths)
    assert named_recogniser(named) is named
