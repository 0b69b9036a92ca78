from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.audio.mix import rms
from noisewise.data.corpora import babble
from noisewise.data.corpora.preparation import Part
from noisewise.data.manifests.read import column, load_audio, read
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.data.random_streams import Draws
from noisewise.errors import DataError


@pytest.fixture
def talkers(tmp_path: Path) -> Path:
    """Five speakers, each a tone of its own pitch, so that a sum can be taken apart again."""
    import soundfile

    folder = tmp_path / "talkers"
    folder.mkdir()
    lines = ["path\tspeaker"]
    for speaker in range(5):
        for take in range(2):
            tone = (0.02 + 0.05 * speaker) * np.sin(2 * np.pi * (200 + 100 * speaker) * np.arange(16_000) / 16_000)
            soundfile.write(folder / f"{speaker}{take}.wav", tone, 16_000)
            lines.append(f"{speaker}{take}.wav\ts{speaker}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


def prepare(talkers: Path, out: Path, **values: Any) -> list[Part]:
    options: dict[str, Any] = {"clips": 4, "seconds": 1.5, "voices": (2, 3), "seed": 1, **values}
    return babble.prepare(str(talkers), out, **options)


def test_clips_are_noise_of_the_type_babble(talkers: Path, tmp_path: Path) -> None:
    prepare(talkers, tmp_path / "out")
    cuts = list(read(tmp_path / "out/cuts.jsonl.gz"))
    assert [cut.duration for cut in cuts] == [1.5] * 4
    assert {column(cut, "label") for cut in cuts} == {"babble"}
    for cut in cuts:
        assert 20 * np.log10(rms(load_audio(cut))) == pytest.approx(babble.LEVEL_DB, abs=0.1)
    assert NoisePool.load(NoiseConfig(manifest=str(tmp_path / "out/cuts.jsonl.gz")), 0).types == ["babble"]


def test_as_many_different_speakers_as_asked_each_heard(talkers: Path) -> None:
    speakers = babble._speakers(list(read(talkers)))
    counts = set()
    for index in range(20):
        clip = babble.babble(speakers, 16_000, (2, 4), Draws("b", index), {})
        spectrum = np.abs(np.fft.rfft(clip))[[200, 300, 400, 500, 600]]
        present = spectrum > 0.05 * spectrum.max()
        counts.add(int(present.sum()))
        levels = 20 * np.log10(spectrum[present] / spectrum[present].max())
        assert levels.min() > -2 * babble.JITTER_DB - 1
    assert counts == {2, 3, 4}


def test_the_same_again(talkers: Path, tmp_path: Path) -> None:
    prepare(talkers, tmp_path / "one")
    prepare(talkers, tmp_path / "two")
    for path in (tmp_path / "one/flac").iterdir():
        assert path.read_bytes() == (tmp_path / "two/flac" / path.name).read_bytes()
    assert [part.fresh for part in prepare(talkers, tmp_path / "one")] == [False]


def test_a_bad_voice_is_listed(talkers: Path, tmp_path: Path) -> None:
    (talkers / "00.wav").write_bytes(b"")
    (part,) = prepare(talkers, tmp_path / "out", clips=8, voices=(5, 5))
    assert [item.reason for item in part.rejected] == ["empty"]
    assert part.utterances == 8


def test_more_voices_than_speakers(talkers: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 9 speakers, but has 5"):
        prepare(talkers, tmp_path / "out", voices=(2, 9))
    with pytest.raises(DataError, match="LOW HIGH"):
        prepare(talkers, tmp_path / "out", voices=(3, 2))
