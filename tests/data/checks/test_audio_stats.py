from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.data.checks.audio_stats import AudioStats, measure
from noisewise.data.manifests.cuts import Cut

RAMP = np.linspace(-0.5, 0.5, 20_000).astype(np.float32)


def cut_of(path: Path, samples: np.ndarray, rate: int = 16_000, **part: float) -> Cut:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    seconds = len(samples) / rate
    return Cut("a", str(path), part.get("duration", seconds), part.get("start", 0.0), recording_seconds=seconds)


def test_rate_length_and_share_at_full_scale(tmp_path: Path) -> None:
    loud = RAMP.copy()
    loud[:30] = -1.0
    stats = measure(cut_of(tmp_path / "a.wav", loud, 8000), 10.0)
    assert (stats.rate, stats.samples, stats.seconds, stats.problem) == (8000, 20_000, 2.5, "")
    assert stats.full_scale == pytest.approx(30 / 20_000)


def test_the_digest_is_of_samples_and_rate_and_not_of_the_file(tmp_path: Path) -> None:
    plain = measure(cut_of(tmp_path / "a.wav", RAMP), 10.0)
    stereo = measure(cut_of(tmp_path / "b.wav", np.stack([RAMP, RAMP], axis=1)), 10.0)
    slow = measure(cut_of(tmp_path / "c.wav", RAMP, 8000), 10.0)
    other = measure(cut_of(tmp_path / "d.wav", RAMP[::-1]), 10.0)
    assert stereo.digest == plain.digest and len({plain.digest, slow.digest, other.digest}) == 3


def test_a_part_has_the_statistics_of_that_part(tmp_path: Path) -> None:
    part = measure(cut_of(tmp_path / "a.wav", RAMP, start=0.25, duration=0.5), 10.0)
    assert part.digest == measure(cut_of(tmp_path / "b.wav", RAMP[4000:12_000]), 10.0).digest


def test_what_cannot_be_used_has_a_problem(tmp_path: Path) -> None:
    assert measure(cut_of(tmp_path / "a.wav", RAMP), 1.0).problem == "too_long"
    assert measure(cut_of(tmp_path / "b.wav", 0 * RAMP + 0.25), 10.0).problem == "silent"
    missing = measure(Cut("x", str(tmp_path / "x.wav"), 1.0), 10.0)
    assert missing.problem == "missing" and "x.wav" in missing.message


def test_statistics_survive_json() -> None:
    import json

    stats = AudioStats(8000, 20_000, 0.1, "00ff")
    assert AudioStats(**json.loads(stats.dumped())) == stats
