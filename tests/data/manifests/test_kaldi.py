from pathlib import Path

import pytest

from noisewise.data.manifests import kaldi
from noisewise.data.manifests.cuts import load_audio
from noisewise.data.manifests.read import read
from noisewise.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, save: object) -> Path:
    for name in ("r1", "r2"):
        save(tmp_path / f"wav/{name}.wav", 2.0)
    (tmp_path / "wav.scp").write_text(f"r1 wav/r1.wav\nr2 {tmp_path}/wav/r2.wav\n")
    (tmp_path / "text").write_text("r1 HELLO  WORLD\nu1 ONE TWO\nu2\tTHREE\n")
    (tmp_path / "utt2spk").write_text("r1 ann\nu1 ann\nu2 bob\n")
    return tmp_path


def test_each_recording_is_an_utterance(folder: Path) -> None:
    first, second = read(folder)
    assert (first.id, first.text, first.speaker, first.duration) == ("r1", "HELLO  WORLD", "ann", 2.0)
    assert (second.id, second.text, second.path) == ("r2", None, f"{folder}/wav/r2.wav")


def test_segments_are_parts_of_recordings(folder: Path) -> None:
    (folder / "segments").write_text("u1 r1 0.5 1.25\nu2 r2 1.0 5.0\nu3 r9 0 1\nu4 r1 2 1\nu5 r1 x 1\n")
    rows = [row for _, row in kaldi.rows(folder)]
    assert [isinstance(row, DataError) for row in rows] == [False, False, True, True, True]
    (folder / "segments").write_text("u1 r1 0.5 1.25\nu2 r2 1.0 5.0\n")
    first, second = read(folder)
    assert (first.id, first.start, first.duration, first.text) == ("u1", 0.5, 0.75, "ONE TWO")
    assert (second.speaker, second.duration, second.custom) == ("bob", 1.0, {"recording": "r2"})
    assert len(load_audio(first)) == 12_000


@pytest.mark.parametrize("command", ["touch {mark} |", "| touch {mark}", "sox {mark} -t wav - |"])
def test_a_command_is_refused_and_not_run(folder: Path, command: str) -> None:
    mark = folder / "mark"
    (folder / "wav.scp").write_text(f"r0 {command.format(mark=mark)}\nr1 wav/r1.wav\nr2 raw.ark:12\n")
    bad, good, archive = (row for _, row in kaldi.rows(folder))
    assert "is a command, which is not run" in str(bad) and isinstance(good, dict) and "audio file" in str(archive)
    assert not mark.exists()
