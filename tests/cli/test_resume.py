"""What was finished before a kill is not done again, unless something has changed."""

import shutil
from pathlib import Path

import pytest

from noisewise.cli.resume import Progress, state_file
from noisewise.inference.sources import Input
from noisewise.inference.transcript import Transcript


def test_entries_are_kept_by_content_and_settings(tmp_path: Path) -> None:
    audio, path = tmp_path / "a.wav", state_file(tmp_path / "out.json", False)
    audio.write_bytes(b"one")
    one = Input(str(audio), audio, channel=2)
    with pytest.raises(KeyboardInterrupt), Progress(path, Transcript, {"beam": 1}, resume=False) as progress:
        progress.add(one, Transcript(str(audio), "YES"))
        progress.add(Input("b", audio), Transcript("b", error="bad"))
        raise KeyboardInterrupt
    assert path.is_file() and path.name.startswith(".")
    with path.open("a") as file:
        file.write('{"key": "torn')
    shutil.copy(audio, tmp_path / "moved.wav")
    with Progress(path, Transcript, {"beam": 1}, resume=True) as progress:
        moved = Input("moved", tmp_path / "moved.wav", channel=2)
        assert progress.get(moved) == Transcript("moved", "YES")
        for other in (
            Input("b", audio),
            Input("b", audio, channel=1),
            Input("b", audio, channel=2, start=1.0),
            Input("b", audio, channel=2, duration=1.0),
        ):
            assert progress.get(other) is None
        progress.add(Input("b", audio), Transcript("b", "NO"))
    assert Progress(path, Transcript, {"beam": 2}, resume=True).get(one) is None
    assert Progress(path, Transcript, {"beam": 1}, resume=True).get(Input("b", audio)) == Transcript("b", "NO")
    assert Progress(path, Transcript, {"beam": 1}, resume=True).get(Input("b", audio), "no") is None, "of another text"
    audio.write_bytes(b"two")
    assert Progress(path, Transcript, {"beam": 1}, resume=True).get(one) is None
    with Progress(path, Transcript, {"beam": 1}, resume=False):
        pass
    assert not path.exists(), "a run that came to its end leaves nothing behind"
