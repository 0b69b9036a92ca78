"""What all sources share."""

import numpy as np

from noisewise.audio.files import protocol


def test_silence_comes_in_blocks(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(protocol, "BLOCK_VALUES", 100)
    blocks = list(protocol.silence(230, 2))
    assert [block.shape for block in blocks] == [(50, 2)] * 4 + [(30, 2)]
    assert not np.concatenate(blocks).any() and blocks[0].dtype == np.float32
    assert list(protocol.silence(0, 1)) == list(protocol.silence(-5, 1)) == []


def test_an_error_of_the_system_names_the_file_and_the_cause() -> None:
    error = protocol.unreadable("a.wav", OSError(5, "Input/output error"))
    assert error.reason == "missing" and error.path == "a.wav"
    assert "`a.wav` must" in str(error) and "Input/output error" in str(error)
