"""Functions as recognisers."""

import sys
from pathlib import Path

import numpy as np
import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems.loading import load as load_recogniser

QUIET = np.full(1600, 0.1, dtype=np.float32)


def test_a_function_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_functions.py").write_text(
        "VERSIONS = {'own': '2'}\ndef transcribe(waveforms):\n    return [str(len(one)) for one in waveforms]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    recogniser = load_recogniser("python:my_functions:transcribe")
    assert recogniser.recognise([QUIET]) == ["1600"]
    assert recogniser.details == {"own": "2"}
    with pytest.raises(NoisewiseError, match="'transcrib' is none"):
        load_recogniser("python:my_functions:transcrib")
