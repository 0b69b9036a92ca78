import shutil
from pathlib import Path

import numpy as np
import pytest

from noisewise.audio.mix import rms
from noisewise.data.corpora import spoken_commands
from noisewise.data.manifests.read import load_audio, read, text_of
from noisewise.errors import DataError

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def test_letters_and_commands_are_read_as_such() -> None:
    assert spoken_commands._spoken("RUBOUT A B SIX") == "rub out [['eI]] B six"


@needs_espeak
def test_a_corpus_is_made_and_made_again(tmp_path: Path) -> None:
    (part,) = spoken_commands.prepare(tmp_path / "one", utterances=6, seed=4, workers=2)
    assert part.utterances == 6 and part.fresh
    cuts = list(read(tmp_path / "one/cuts.jsonl.gz"))
    for cut in cuts:
        wave = load_audio(cut)
        assert 0.3 < cut.duration < 30
        assert -45 < 20 * np.log10(rms(wave)) < -12
        assert np.abs(wave).max() < 1
        assert (wave != 0).mean() > 0.5  # a recording is never digitally silent
    spoken_commands.prepare(tmp_path / "two", utterances=6, seed=4, workers=1)
    for name in sorted(path.name for path in (tmp_path / "one/flac").iterdir()):
        assert (tmp_path / "one/flac" / name).read_bytes() == (tmp_path / "two/flac" / name).read_bytes()


@needs_espeak
def test_a_larger_corpus_begins_with_the_smaller_and_keeps_its_files(tmp_path: Path) -> None:
    spoken_commands.prepare(tmp_path, utterances=2, seed=4)
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "flac").iterdir()}
    small = [(cut.id, text_of(cut)) for cut in read(tmp_path / "cuts.jsonl.gz")]
    (part,) = spoken_commands.prepare(tmp_path, utterances=4, seed=4)
    assert part.fresh and part.utterances == 4
    assert [(cut.id, text_of(cut)) for cut in read(tmp_path / "cuts.jsonl.gz")][:2] == small
    assert all((tmp_path / "flac" / name).stat().st_mtime_ns == stamp for name, stamp in files.items())
    (part,) = spoken_commands.prepare(tmp_path, utterances=4, seed=4)
    assert not part.fresh
    next((tmp_path / "flac").iterdir()).unlink()
    (part,) = spoken_commands.prepare(tmp_path, utterances=4, seed=4)
    assert part.fresh and len(list((tmp_path / "flac").iterdir())) == 4
    with pytest.raises(DataError, match="choose another folder"):
        spoken_commands.prepare(tmp_path, utterances=4, seed=5)


def test_without_espeak_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="install the package espeak-ng"):
        spoken_commands.prepare(tmp_path / "out", utterances=1, seed=0)
    assert not (tmp_path / "out").exists()
