from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.data.manifests.cuts import Cut, column, load_audio, text_of
from noisewise.data.manifests.lhotse_format import dump, parse
from noisewise.errors import AudioError


@pytest.fixture
def cut(tmp_path: Path) -> Cut:
    """A second of a ramp at 16 kHz, and its columns."""
    soundfile.write(tmp_path / "a.wav", (np.arange(16_000) - 8_000).astype(np.int16), 16_000)
    return Cut("a", str(tmp_path / "a.wav"), 1.0, text="YES", custom={"label": 3, "empty": None}, recording_seconds=1.0)


def test_columns(cut: Cut) -> None:
    assert (text_of(cut), column(cut, "text"), column(cut, "speaker")) == ("YES", "YES", None)
    assert (column(cut, "label"), column(cut, "empty"), column(cut, "duration")) == ("3", None, None)


def test_a_part_is_that_part_of_the_whole(cut: Cut) -> None:
    part = replace(cut, start=0.25, duration=0.5)
    assert cut.is_whole and not part.is_whole
    np.testing.assert_array_equal(load_audio(part), load_audio(cut)[4000:12_000])
    assert len(load_audio(part, sample_rate=8000)) == 4000


def test_a_silent_cut_is_refused_unless_allowed(cut: Cut, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    with pytest.raises(AudioError, match="silent"):
        load_audio(cut)
    assert not load_audio(cut, allow_silent=True).any()


@pytest.mark.parametrize("fields", [{"id": 3}, {"start": -0.1}, {"duration": 0.0}, {"duration": float("inf")}])
def test_a_cut_that_cannot_be(cut: Cut, fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="duration"):
        replace(cut, **fields)  # type: ignore[arg-type]


def test_transforms_are_left_to_lhotse(cut: Cut) -> None:
    pytest.importorskip("lhotse")
    values = dump(cut)
    values["recording"]["transforms"] = [{"name": "Volume", "kwargs": {"factor": 0.5}}]
    halved = parse(values)
    assert halved.needs_lhotse and not cut.needs_lhotse
    np.testing.assert_allclose(load_audio(halved), load_audio(cut) / 2, atol=1e-6)
