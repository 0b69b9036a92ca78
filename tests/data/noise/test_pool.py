from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from noisewise.audio.mix import rms, snr_db
from noisewise.config import parse
from noisewise.data.manifests.read import read
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import AudioError, ConfigError, DataError

SPEECH = (0.1 * np.random.default_rng(9).standard_normal(16_000)).astype(np.float32)


def pool(noise: Path, seed: int = 0, **values: object) -> NoisePool:
    return NoisePool.load(parse(NoiseConfig, {"manifest": str(noise), **values}), seed)


def test_a_draw_depends_on_names_alone(noise: Path) -> None:
    first, second = pool(noise), pool(noise)
    names = [f"u{index}" for index in range(30)]
    forward = {name: first.draw(3, name, 8000) for name in names}
    backward = {name: second.draw(3, name, 8000) for name in reversed(names)}
    assert forward == backward
    assert forward != {name: first.draw(4, name, 8000) for name in names}
    assert forward != {name: pool(noise, seed=1).draw(3, name, 8000) for name in names}


def test_draws_are_pinned(noise: Path) -> None:
    draws = [pool(noise, seed=5).draw(1, f"u{index}", 8000) for index in range(3)]
    assert [(draw.id, draw.offset, draw.snr_db) for draw in draws if draw] == PINNED


PINNED = [("cafe/0", 2352, 5.0), ("car/1", 2020, 10.0), ("metro/1", 2061, 25.0)]


def test_types_are_uniform_whatever_their_files(noise: Path, save: object) -> None:
    text = (noise / "manifest.tsv").read_text()
    (noise / "manifest.tsv").write_text(text + "".join(f"car/{take}.wav\tcar\tdev\n" for take in range(2, 9)))
    for take in range(2, 9):
        save(noise / f"car/{take}.wav", 0.2, seed=take)
    made = pool(noise)
    drawn = [made.draw(0, f"u{index}", 1000) for index in range(600)]
    types = Counter(draw.type for draw in drawn if draw)
    assert len(types) == 3 and min(types.values()) > 150
    assert {draw.snr_db for draw in drawn if draw} == {0, 5, 10, 15, 20, 25}
    assert len({draw.offset for draw in drawn if draw}) > 300


def test_snr_range_probability_and_choices(noise: Path) -> None:
    ranged = pool(noise, snr_low=-3.0, snr_high=7.0)
    ratios = [draw.snr_db for index in range(200) if (draw := ranged.draw(0, f"u{index}", 100))]
    assert -3 <= min(ratios) < -2 and 6 < max(ratios) < 7
    half = pool(noise, probability=0.5)
    share = np.mean([half.draw(0, f"u{index}", 100) is not None for index in range(400)])
    assert 0.4 < share < 0.6
    assert pool(noise, probability=0.0).apply(SPEECH, 0, "u") == (SPEECH, None, 0.0)
    assert pool(noise, types=["cafe"]).types == ["cafe"]
    assert pool(noise, exclude=["cafe/0", "cafe/1"]).types == ["car", "metro"]
    assert pool(noise, ids=["metro/1"]).types == ["metro"]


def test_the_mixture_is_speech_plus_gain_times_segment(noise: Path) -> None:
    made = pool(noise)
    noisy, draw, gain = made.apply(SPEECH, 0, "u1")
    assert draw is not None
    segment = made.segment(draw, len(SPEECH))
    np.testing.assert_allclose(noisy, SPEECH + gain * segment, atol=1e-6)
    assert snr_db(SPEECH, noisy.astype(np.float64) - SPEECH) == pytest.approx(draw.snr_db, abs=0.01)


def test_a_segment_is_where_the_offset_says(noise: Path) -> None:
    made = pool(noise, ids=["car/1"])
    draw = made.draw(0, "u1", 5000)
    assert draw is not None
    file, _ = soundfile.read(noise / "car/1.wav", dtype="float32")
    np.testing.assert_array_equal(made.segment(draw, 5000), file[draw.offset : draw.offset + 5000])


def test_a_short_noise_repeats_from_the_offset(noise: Path) -> None:
    made = pool(noise, ids=["cafe/0"])
    draw = made.draw(0, "u2", 16_000)
    assert draw is not None and 0 <= draw.offset < 4800
    file, _ = soundfile.read(noise / "cafe/0.wav", dtype="float32")
    expected = np.tile(file, 5)[draw.offset : draw.offset + 16_000]
    np.testing.assert_array_equal(made.segment(draw, 16_000), expected)


def test_every_snr_of_a_cell_has_the_same_segment(noise: Path) -> None:
    made = pool(noise)
    draws = [made.at("u1", "metro", ratio, SPEECH)[1] for ratio in (0.0, 5.0, 20.0)]
    assert len({(draw.id, draw.offset) for draw in draws}) == 1
    assert [draw.snr_db for draw in draws] == [0, 5, 20]
    gains = [made.at("u1", "metro", ratio, SPEECH)[2] for ratio in (0.0, 20.0)]
    assert gains[0] / gains[1] == pytest.approx(10)
    assert len({made.at(f"u{index}", "metro", 0.0, SPEECH)[1].offset for index in range(20)}) > 10


def test_grid_cells_do_not_depend_on_other_types(noise: Path) -> None:
    alone = pool(noise, types=["metro"]).at("u1", "metro", 5.0, SPEECH)
    among = pool(noise).at("u1", "metro", 5.0, SPEECH)
    assert alone[1] == among[1]
    np.testing.assert_array_equal(alone[0], among[0])


def test_pauses_are_not_drawn(tmp_path: Path) -> None:
    wave = np.zeros(160_000)
    wave[150_000:] = 0.1
    soundfile.write(tmp_path / "mostly_silent.wav", wave, 16_000)
    made = NoisePool.load(NoiseConfig(manifest=str(tmp_path)), 0)
    for index in range(20):
        draw = made.draw(0, f"u{index}", 4000)
        assert draw is not None
        assert rms(made.segment(draw, 4000)) > 1e-4
    assert made.draw(0, "u1", 4000) == made.draw(0, "u1", 4000)


def test_a_silent_noise_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    with pytest.raises(AudioError, match=r"silent\.wav.*must be audible"):
        NoisePool.load(NoiseConfig(manifest=str(tmp_path)), 0).draw(0, "u", 4000)


def test_the_cache_is_bounded_and_changes_nothing(noise: Path) -> None:
    small = pool(noise, cache_mb=0)
    large = pool(noise)
    for index in range(20):
        np.testing.assert_array_equal(small.apply(SPEECH, 0, f"u{index}")[0], large.apply(SPEECH, 0, f"u{index}")[0])
    assert len(small._decoded) <= 1 < len(large._decoded)


def test_long_files_are_read_in_parts(noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pool(noise, ids=["car/1"])
    draw = whole.draw(0, "u", 5000)
    assert draw is not None
    monkeypatch.setattr("noisewise.data.noise.pool.WHOLE_FILE_SECONDS", 1.0)
    parts = pool(noise, ids=["car/1"])
    np.testing.assert_array_equal(parts.segment(draw, 5000), whole.segment(draw, 5000))
    again = parts.draw(0, "u", 5000)
    assert again is not None and not parts._decoded
    assert len(parts.segment(again, 5000)) == 5000


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"types": ["cafe", "moon"]}, DataError, r"\['moon'\] are not"),
        ({"exclude": ["car/7"]}, DataError, "noise id 'car/7'"),
        ({"types": ["cafe"], "exclude": ["cafe/0", "cafe/1"]}, DataError, "cafe"),
        ({"snr_low": 1.0}, ConfigError, "given together"),
        ({"snr_low": 2.0, "snr_high": 1.0}, ConfigError, "swap"),
        ({"snr_db": []}, ConfigError, "at least one ratio"),
        ({"probability": 1.5}, ConfigError, "between 0 and 1"),
        ({"split": "nowhere"}, DataError, "at least one entry"),
    ],
)
def test_choices_that_make_no_sense(noise: Path, values: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pool(noise, **values)


def test_an_unknown_type_of_a_cell(noise: Path) -> None:
    with pytest.raises(DataError, match="must be one of"):
        pool(noise).at("u", "moon", 0.0, SPEECH)


def test_the_same_noise_twice_is_refused(noise: Path) -> None:
    cuts = list(read(noise))
    with pytest.raises(DataError, match="unique"):
        NoisePool([*cuts, cuts[0]], NoiseConfig(manifest=str(noise)), 0)


def test_real_noises_give_exact_snrs(data_dir: Path) -> None:
    made = pool(data_dir / "noise", split="train")
    for index in range(40):
        noisy, draw, _ = made.apply(SPEECH, 0, f"u{index}")
        assert draw is not None
        assert snr_db(SPEECH, noisy.astype(np.float64) - SPEECH) == pytest.approx(draw.snr_db, abs=0.01)
