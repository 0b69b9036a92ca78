"""Errors: one base that the command line catches, and what an audio error says beside its sentence."""

import inspect

import pytest

from noisewise import errors
from noisewise.errors import AudioError, NoisewiseError

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)]


@pytest.mark.parametrize("found", CLASSES)
def test_every_error_is_one_that_the_command_line_prints_as_a_line(found: type[Exception]) -> None:
    assert issubclass(found, NoisewiseError)
    assert issubclass(found, ValueError)


def test_an_audio_error_names_its_reason_and_file() -> None:
    error = AudioError("`a.wav` must hold audio, but is empty; remove it", reason="empty", path="a.wav")
    assert (str(error)[:7], error.reason, error.path) == ("`a.wav`", "empty", "a.wav")
