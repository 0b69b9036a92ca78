"""The three sets of a run as batches."""

from pathlib import Path

import pytest
import torch

from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.recordings import RecordingSource
from noisewise.errors import ConfigError, NoisewiseError
from tests.corpus import write_corpus


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    write_corpus(tmp_path)
    return DataConfig(manifests=[str(tmp_path / "corpus")], batch_seconds=3.0, workers=0)


def test_training_goes_on_at_the_place_that_came_with_a_batch(data: DataConfig) -> None:
    source = RecordingSource(data, data, seed=1)
    batches = source.training(0, 0, 0, 1)
    epoch, position, _ = next(batches)
    after = next(batches)
    again = next(RecordingSource(data, data, seed=1).training(epoch, position, 0, 1))
    assert again[:2] == after[:2] and again[2].ids == after[2].ids
    assert torch.equal(again[2].waveform, after[2].waveform)
    other = next(RecordingSource(data, data, seed=2).training(epoch, position, 0, 1))
    assert other[2].ids != after[2].ids


def test_validation_is_the_same_every_time(data: DataConfig) -> None:
    source = RecordingSource(data, data)
    first, second = ([batch.ids for batch in source.validation()] for _ in range(2))
    assert first == second and sorted(name for ids in first for name in ids) == [f"u{number}" for number in range(8)]


def test_a_fault_of_the_test_set_is_found_before_training(data: DataConfig, tmp_path: Path) -> None:
    RecordingSource(data, data).check()
    missing = DataConfig(manifests=[str(tmp_path / "nowhere")])
    with pytest.raises(NoisewiseError, match="nowhere"):
        RecordingSource(data, data, missing).check()
    with pytest.raises(ConfigError, match="`test` must be given"):
        RecordingSource(data, data).test()
