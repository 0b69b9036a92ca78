"""Vectors of external encoders: from the batch or on the fly, the same for a clip in any batch, or refused in words."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.batch import Batch
from noisewise.errors import ConfigError
from noisewise.models.cat.alignment import AlignmentConfig
from noisewise.tasks.external_vectors import ExternalVectors, OnTheFlyConfig


class Peaks:
    """Stands for an encoder: the highest and the lowest sample, and those of every 4,000."""

    dim = frame_dim = 2
    encoded = 0

    def __call__(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        assert not torch.is_autocast_enabled("cpu"), "whatever the precision of the training"
        assert waveform.shape == (1, int(lengths[0])), "each clip is encoded alone"
        Peaks.encoded += 1
        return torch.stack([waveform.amax(dim=1), waveform.amin(dim=1)], dim=1)

    def frames(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        parts = waveform[0].split(4_000)
        return torch.stack([self(part[None], torch.tensor([len(part)]))[0] for part in parts])[None], lengths


@pytest.fixture(autouse=True)
def peaks(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def load(name: str, **values: Any) -> Peaks:
        asked.append({"name": name, **values})
        return Peaks()

    monkeypatch.setattr("noisewise.tasks.external_vectors.external.load", load)
    Peaks.encoded = 0
    return asked


def a_batch() -> Batch:
    waveform = torch.randn(3, 12_000, generator=torch.Generator().manual_seed(1))
    waveform[0, 8_000:], waveform[2, 4_000:] = 99.0, 99.0  # padding is loud
    return Batch(waveform, torch.tensor([8_000, 12_000, 4_000]), ["a", "b", "c"])


ONE = [AlignmentConfig(encoder="e", dim=2)]
ON = {"e": OnTheFlyConfig(encoder="a/folder", pooling="cls", normalise=True)}


def test_on_the_fly_the_clip_alone_is_heard(peaks: list[dict[str, Any]]) -> None:
    found = ExternalVectors(ONE, ON).of(a_batch())
    assert peaks == [{"name": "a/folder", "pooling": "cls", "normalise": True, "device": "cpu"}]
    rows = [row[:count] for row, count in zip(a_batch().waveform, (8_000, 12_000, 4_000), strict=True)]
    assert found["e"].features.tolist() == [[float(row.max()), float(row.min())] for row in rows]
    assert found["e"].lengths is None and Peaks.encoded == 3


def test_the_precision_of_the_training_is_not_that_of_the_encoder() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = ExternalVectors(ONE, ON).of(a_batch())
    assert torch.equal(found["e"].features, ExternalVectors(ONE, ON).of(a_batch())["e"].features)


def test_what_sounds_as_before_is_not_heard_again() -> None:
    vectors = ExternalVectors(ONE, {"e": replace(ON["e"], remember=2)})
    first = vectors.of(a_batch())["e"].features
    assert torch.equal(vectors.of(a_batch())["e"].features, first) and Peaks.encoded == 4, "two of three are kept"
    other = a_batch()
    other.waveform[0, 0] += 9
    assert vectors.of(other)["e"].features[0, 0] == other.waveform[0, 0], "the same id, another sound"


def test_frames_where_an_alignment_is_of_frames() -> None:
    alignments = [*ONE, AlignmentConfig(encoder="e", dim=2, level="frames")]
    found = ExternalVectors(alignments, ON).of(a_batch())["e"]
    assert found.lengths is not None and found.lengths.tolist() == [2, 3, 1]
    assert found.features.shape == (3, 3, 2) and not found.features[2, 1:].any()


def test_vectors_of_a_store_come_with_the_batch() -> None:
    batch = replace(a_batch(), vectors={"e": torch.ones(3, 5, 2)}, vector_lengths={"e": torch.tensor([5, 4, 3])})
    found = ExternalVectors(ONE, {}).of(batch)["e"]
    assert found.lengths is not None and found.lengths.tolist() == [5, 4, 3] and found.features.shape == (3, 5, 2)
    assert not Peaks.encoded


def test_what_is_missing_double_or_of_another_width_is_refused() -> None:
    stored = replace(a_batch(), vectors={"e": torch.ones(3, 2)})
    with pytest.raises(ConfigError, match=r"`train\.embeddings\.e` .* must be given, but neither is"):
        ExternalVectors(ONE, {}).of(a_batch())
    with pytest.raises(ConfigError, match="must be given, but both are"):
        ExternalVectors(ONE, ON).of(stored)
    wide = [AlignmentConfig(encoder="e", dim=3)]
    with pytest.raises(ConfigError, match=r"alignments\.0\.dim` must be 2, the width of `e`, but is 3"):
        ExternalVectors(wide, {}).of(stored)
    with pytest.raises(ConfigError, match=r"alignments\.0\.dim` must be 2"):
        ExternalVectors(wide, ON)
    with pytest.raises(ConfigError, match=r"must be named by .*, \['e'\], not 'f'"):
        ExternalVectors(ONE, {"f": ON["e"]})
