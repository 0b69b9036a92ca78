"""Recognisers by their specification."""

import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems.loading import load as load_recogniser


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("command:", "there is no ''"),
        ("command:no-such-program-here {}", "there is no 'no-such-program-here'"),
        ("command:echo 'unfinished", "must be a command line"),
        ("python:no_such_module_here:f", "cannot be imported"),
        ("python:", "cannot be imported"),
        ("no-such-folder", "no-such-folder"),
    ],
)
def test_what_does_not_exist_is_refused(specification: str, message: str) -> None:
    with pytest.raises(NoisewiseError, match=message):
        load_recogniser(specification)


def test_workers_and_timeout_must_be_positive() -> None:
    with pytest.raises(NoisewiseError, match="must be positive"):
        load_recogniser("command:echo", workers=0)
    with pytest.raises(NoisewiseError, match="must be positive"):
        load_recogniser("command:echo", timeout_seconds=0)
