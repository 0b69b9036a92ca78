"""The tagger on a small untrained model: its labels mean nothing, but they must be the same however it is asked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.errors import AudioError, DataError, ModelError, NoisewiseError
from noisewise.inference.sources import Input, Source
from noisewise.inference.tagger import Tagger
from noisewise.inference.tags import Tags

RATE = 16_000
SOUNDS: list[Callable[[NDArray[np.float64]], NDArray[Any]]] = [
    lambda time: 0.3 * np.sin(2 * np.pi * 300 * time),
    lambda time: 0.1 * np.random.Generator(np.random.Philox(1)).standard_normal(len(time)),
    lambda time: 0.3 * np.sin(2 * np.pi * (500 + 2000 * time) * time),
    lambda time: 0.4 * (np.modf(time * 5)[0] < 0.1) * np.sin(2 * np.pi * 2500 * time),
]


def sound(kind: int, seconds: float) -> NDArray[np.float32]:
    """One of four kinds of sound. (T,)"""
    return np.asarray(SOUNDS[kind](np.arange(round(seconds * RATE)) / RATE), dtype=np.float32)


@pytest.fixture(scope="module")
def tagger(tagger_dir: Path) -> Tagger:
    return Tagger.load(tagger_dir)


@pytest.fixture(scope="module")
def sounds() -> list[NDArray[np.float32]]:
    return [sound(kind, seconds) for kind in range(4) for seconds in (0.4, 1.3, 2.0, 3.7)]


def test_batches_and_padding_never_change_a_probability(tagger: Tagger, sounds: list[NDArray[np.float32]]) -> None:
    alone = [tagger.tag(each) for each in sounds]
    assert len({int(each.probabilities.argmax()) for each in alone}) > 1, "sounds must differ, or the test says nothing"
    assert max(np.ptp([each.probabilities[k] for each in alone]) for k in range(4)) > 0.3
    for batch_seconds in (0.5, 5.0, 1000.0):
        together = tagger.tag(sounds, batch_seconds=batch_seconds)
        assert [each.source for each in together] == [f"waveform {number}" for number in range(1, 17)]
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)
            assert [(each.start, each.end) for each in one.windows] == [
                (each.start, each.end) for each in other.windows
            ]


def test_windows_slide_and_the_last_ends_with_the_recording(tagger: Tagger, tmp_path: Path) -> None:
    samples = np.concatenate([sound(0, 3.0), sound(1, 2.3)])
    found = tagger.tag(samples, window_seconds=2.0, hop_seconds=1.0)
    assert [(round(each.start, 6), round(each.end, 6)) for each in found.windows] == [
        (0.0, 2.0),
        (1.0, 3.0),
        (2.0, 4.0),
        (3.0, 5.0),
        (3.3, 5.3),
    ]
    for each in found.windows:
        part = samples[round(each.start * RATE) : round(each.end * RATE)]
        np.testing.assert_allclose(each.probabilities, tagger.probabilities([part])[0].numpy(), atol=1e-4)
    every = np.stack([each.probabilities for each in found.windows])
    np.testing.assert_allclose(found.probabilities, every.mean(axis=0), atol=1e-6)
    assert found.probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    assert found.duration == 5.3
    waveform.save(tmp_path / "long.wav", samples, subtype="FLOAT")
    from_file = tagger.tag(tmp_path / "long.wav", window_seconds=2.0, hop_seconds=1.0, batch_seconds=2.0)
    np.testing.assert_allclose(np.stack([each.probabilities for each in from_file.windows]), every, atol=1e-4)


def test_where_a_sound_may_have_several_labels_the_loudest_window_speaks(tagger_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tagger_dir, tmp_path / "many")
    about = json.loads((folder / "config.json").read_text())
    about["model"]["labels"] = "many"
    (folder / "config.json").write_text(json.dumps(about))
    found = Tagger.load(folder).tag(np.concatenate([sound(0, 2.0), sound(1, 2.0)]))
    every = np.stack([each.probabilities for each in found.windows])
    assert len(every) == 3
    np.testing.assert_array_equal(found.probabilities, every.max(axis=0))


def test_the_window_of_a_model_is_what_its_folder_says_or_what_it_can_take(tagger_dir: Path, tmp_path: Path) -> None:
    assert Tagger.load(tagger_dir).window_seconds == 2.0
    folder = shutil.copytree(tagger_dir, tmp_path / "fixed")
    about = json.loads((folder / "config.json").read_text())
    about["model"]["encoder"]["frames"] = 128
    (folder / "config.json").write_text(json.dumps(about))
    fixed = Tagger.load(folder)
    assert fixed.window_seconds == pytest.approx(1.28)
    with pytest.raises(NoisewiseError, match=r"at most 1\.28, the model's longest input"):
        fixed.tag(sound(0, 3.0), window_seconds=2.0)


def test_formats_and_rates_are_tagged_alike(tagger: Tagger, tmp_path: Path) -> None:
    samples = sound(2, 1.5)
    waveform.save(tmp_path / "a.flac", samples)
    waveform.save(tmp_path / "b.wav", waveform.resample(samples, RATE, 44_100), sample_rate=44_100)
    sources: list[Source] = [samples, tmp_path / "a.flac", str(tmp_path / "b.wav")]
    one, flac, other = tagger.tag(sources)
    np.testing.assert_allclose(one.probabilities, flac.probabilities, atol=1e-2)
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=5e-2)
    assert flac.source == str(tmp_path / "a.flac")


def test_bad_recordings_become_entries_and_the_rest_is_tagged(tagger: Tagger, tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("not audio")
    sources: list[Source] = [tmp_path / "missing.wav", sound(0, 1.0), tmp_path / "letter.wav", np.zeros(RATE)]
    found = tagger.tag(sources)
    assert [each.error is None for each in found] == [False, True, False, False]
    assert "no such file" in str(found[0].error) and "silent" in str(found[3].error)
    assert found[0].sounds().tags == [] and found[1].sounds(top=1).tags[0].probability > 0.25
    (alone,) = tagger.scores([sound(0, 1.0)])
    np.testing.assert_allclose(alone, found[1].probabilities, atol=1e-4)
    with pytest.raises(AudioError, match=r"waveform 2.*silent"):
        tagger.scores([sound(0, 1.0), np.zeros(RATE)])


def test_memory_does_not_grow_with_the_recording(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = tagger.probabilities
    monkeypatch.setattr(tagger, "probabilities", lambda windows: (seen.append(len(windows)), original(windows))[1])
    tagger.tag(sound(1, 40.0), batch_seconds=8.0)
    assert max(seen) == 4 and sum(seen) == 39


def test_settings_that_cannot_be_met_are_named(tagger: Tagger, tagger_dir: Path, model_dir: Path) -> None:
    for options, sentence in (
        ({"hop_seconds": 3.0}, "`hop_seconds` must be at most `window_seconds`, 2, or there would be gaps"),
        ({"hop_seconds": 0.0}, "`hop_seconds` must be more than 0"),
        ({"window_seconds": -1.0}, "`window_seconds` must be more than 0"),
        ({"window_seconds": 0.05}, "`window_seconds` must be at least 0.1, .* but is 0.05"),
        ({"batch_seconds": 0.0}, "`batch_seconds` must be more than 0"),
    ):
        with pytest.raises(NoisewiseError, match=sentence):
            tagger.tag(sound(0, 1.0), **options)
    with pytest.raises(NoisewiseError, match="`device` must be"):
        Tagger.load(tagger_dir, "gpuu")
    with pytest.raises(ModelError, match="must hold a tagger"):
        Tagger.load(model_dir)


def test_one_source_gives_one_result_and_its_error_is_raised(tagger: Tagger, tmp_path: Path) -> None:
    one = tagger.tag(sound(0, 1.0))
    assert isinstance(one, Tags) and isinstance(tagger.tag([sound(0, 1.0)]), list)
    with pytest.warns(DeprecationWarning):
        assert one[0] is one
    with pytest.raises(AudioError, match="no such file") as caught:
        tagger.tag(tmp_path / "no.wav")
    assert caught.value.reason == "missing"
    kept = tagger.tag(tmp_path / "no.wav", errors="keep")
    assert kept.has_failed and kept.reason == "missing"
    with pytest.raises(AudioError):
        tagger.tag([sound(0, 1.0), tmp_path / "no.wav"], errors="raise")
    with pytest.raises(NoisewiseError, match="`errors` must be raise or keep"):
        tagger.tag(sound(0, 1.0), errors="ignore")


def test_a_part_is_tagged_as_it_is_alone_and_has_the_times_of_the_recording(tagger: Tagger, tmp_path: Path) -> None:
    samples = np.concatenate([sound(0, 1.0), sound(1, 2.0), sound(2, 1.0)])
    waveform.save(tmp_path / "a.wav", samples)
    ((_, part),) = tagger.each([Input("a.wav", tmp_path / "a.wav", start=1.0, duration=2.0)])
    alone = tagger.tag(samples[16_000:48_000])
    np.testing.assert_allclose(part.probabilities, alone.probabilities, atol=1e-2)
    assert [(each.start, each.end) for each in part.windows] == [
        (each.start + 1.0, each.end + 1.0) for each in alone.windows
    ]
    again = Tags.from_dict(part.to_dict())
    np.testing.assert_array_equal(again.probabilities, part.probabilities)
    assert [each.start for each in again.windows] == [each.start for each in part.windows]
    with pytest.raises(DataError, match="to_dict"):
        Tags.from_dict({"source": "a"})
