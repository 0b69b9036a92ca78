from pathlib import Path

import pytest

from noisewise.data.manifests.audio_files import is_audio, located


def test_audio_is_told_by_its_suffix() -> None:
    assert is_audio("a/B.WAV") and is_audio("x.y.opus") and not is_audio("wav") and not is_audio("a.txt")


@pytest.mark.parametrize(
    ("file", "name"),
    [("a.wav", "a.wav"), ("wavs/a.wav", "a"), ("clips/a.mp3", "a.mp3"), ("a.flac", "a"), ("audio/s/a.wav", "s/a.wav")],
)
def test_a_file_is_found_in_the_usual_places(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    assert located(tmp_path, name) == file


def test_a_file_that_is_nowhere_keeps_its_name(tmp_path: Path) -> None:
    assert located(tmp_path, "gone.wav") == "gone.wav" and located(tmp_path, "/gone") == "/gone"
