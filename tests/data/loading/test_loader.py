import itertools
import logging
import multiprocessing
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from noisewise.batch import Batch
from noisewise.config import parse
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.loader import Loader, build_loader
from noisewise.errors import AudioError, DataError, RunError


def config(speech: Path, noise: Path, **values: object) -> DataConfig:
    plain = {
        "manifests": [str(speech)],
        "noise": {"manifest": str(noise), "probability": 0.8},
        "speed": [0.9, 1.0, 1.1],
        "gain_db": [-3, 3],
        "batch_seconds": 3.0,
        "keep_clean": True,
        "workers": 0,
    }
    return parse(DataConfig, {**plain, **values})


def loader(made: DataConfig, **values: object) -> Loader:
    return build_loader(made, encode=lambda text: [ord(letter) for letter in text], seed=7, **values)  # type: ignore[arg-type]


def assert_same(left: list[Batch], right: list[Batch]) -> None:
    assert [batch.ids for batch in left] == [batch.ids for batch in right]
    for one, other in zip(left, right, strict=True):
        assert torch.equal(one.waveform, other.waveform)
        assert one.clean is not None and other.clean is not None and torch.equal(one.clean, other.clean)
        assert one.tokens is not None and other.tokens is not None and torch.equal(one.tokens, other.tokens)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(speech: Path, noise: Path, workers: int) -> None:
    alone = list(itertools.islice(loader(config(speech, noise)), 12))
    several = list(itertools.islice(loader(config(speech, noise, workers=workers)), 12))
    assert_same(alone, several)


def test_a_worker_has_one_thread(speech: Path, noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = loader(config(speech, noise, workers=1))

    def threads(request: object) -> Batch:
        found = [torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]
        return Batch(torch.tensor([found]), torch.tensor([len(found)]), [], [])

    monkeypatch.setattr(type(made.dataset), "__getitem__", lambda dataset, request: threads(request))
    with threadpool_limits(3):
        assert {pool["num_threads"] for pool in threadpool_info()} == {3}
        batch = next(iter(made))
    assert batch.waveform.size(1) > 1 and batch.waveform.unique().tolist() == [1]


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_resuming_goes_on_with_the_very_next_batch(speech: Path, noise: Path, stop: int) -> None:
    whole = list(itertools.islice(loader(config(speech, noise)), 14))
    first = loader(config(speech, noise, workers=2))
    begun = list(itertools.islice(first, stop))  # workers have read ahead; the state must not have
    rest = list(itertools.islice(loader(config(speech, noise, workers=1), start=first.state), 14 - stop))
    assert_same(whole, [*begun, *rest])


def test_state_counts_epochs(speech: Path, noise: Path) -> None:
    made = loader(config(speech, noise))
    states = [made.state for _ in itertools.islice(made, len(made) + 1)]
    assert states[0] == (0, 1)
    assert states[len(made) - 1 : len(made) + 1] == [(1, 0), (1, 1)]


def test_two_ranks_share_an_epoch(speech: Path, noise: Path) -> None:
    made = [loader(config(speech, noise), rank=rank, world_size=2) for rank in range(2)]
    ids = [[name for batch in itertools.islice(part, len(part)) for name in batch.ids] for part in made]
    assert len(made[0]) == len(made[1])
    assert set(ids[0]) | set(ids[1]) == {f"{'train' if index < 9 else 'test'}/u{index}" for index in range(12)}


def test_validation_is_one_fixed_pass(speech: Path, noise: Path) -> None:
    made = loader(config(speech, noise), training=False)
    first, second = list(made), list(loader(config(speech, noise), training=False))
    assert_same(first, second)
    assert_same(first, list(made))  # a second pass of the same loader
    assert sorted(name for batch in first for name in batch.ids) == sorted(cut.id for cut in made.dataset.cuts)
    lengths = [cut.duration for batch in first for cut in made.dataset.cuts if cut.id == batch.ids[0]]
    assert lengths == sorted(lengths, reverse=True)


def test_a_bad_file_is_reported_once_and_the_run_goes_on(
    speech: Path, noise: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (speech / "train/u4.flac").write_bytes(b"fLaC nonsense")
    made = loader(config(speech, noise, workers=1))
    with caplog.at_level(logging.WARNING):
        batches = list(itertools.islice(made, 3 * len(made)))
    assert all(len(batch) for batch in batches)
    assert sum(item.id == "train/u4" for batch in batches for item in batch.skipped) >= 2
    assert len([record for record in caplog.records if "train/u4" in record.message]) == 1


def test_a_killed_worker_is_one_line_and_the_next_loader_goes_on(speech: Path, noise: Path) -> None:
    whole = list(itertools.islice(loader(config(speech, noise)), 8))
    first = loader(config(speech, noise, workers=2))
    batches = iter(first)
    begun = [next(batches), next(batches)]
    for child in multiprocessing.active_children():
        child.kill()
    with pytest.raises(RunError, match=r"every loader process must run.*the same command goes on") as caught:
        begun += batches
    assert "\n" not in str(caught.value)
    rest = list(itertools.islice(loader(config(speech, noise), start=first.state), 8 - len(begun)))
    assert_same(whole, [*begun, *rest])


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "error", [DataError("`a` must be b"), AudioError("`a` must be b", "nan", "a.wav"), MemoryError("`a` must be b")]
)
def test_an_error_in_a_worker_comes_without_its_traceback(
    error: Exception, workers: int, speech: Path, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loader(config(speech, noise, workers=workers))

    def fail(dataset: object, request: object) -> Batch:
        raise error

    monkeypatch.setattr(type(made.dataset), "__getitem__", fail)
    with pytest.raises(type(error)) as caught:
        next(iter(made))
    assert str(caught.value) == "`a` must be b"


@pytest.mark.parametrize("name", ["_item", "_noisy"])
def test_a_lack_of_memory_does_not_make_a_recording_bad(
    name: str, speech: Path, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"manifests": [str(speech)], "noise": {"manifest": str(noise), "probability": 1.0}, "workers": 0}
    made = loader(parse(DataConfig, plain))

    def fail(*arguments: object, **options: object) -> None:
        raise AudioError("`a` must be audio") from RuntimeError("std::bad_alloc")

    holder, method = (made.dataset, "_item") if name == "_item" else (made.dataset.noise, "apply")
    monkeypatch.setattr(holder, method, fail)
    with pytest.raises(MemoryError):
        next(iter(made))


def test_lengths_are_filtered_and_said(speech: Path, noise: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made = loader(config(speech, noise, min_seconds=0.5, max_seconds=1.0))
    assert all(0.5 <= cut.duration <= 1.0 for cut in made.dataset.cuts)
    assert "left out 6 of 12" in caplog.text
    with pytest.raises(DataError, match="utterances of 20"):
        loader(config(speech, noise, min_seconds=20.0))


def test_real_speech_in_real_noise(data_dir: Path) -> None:
    made = parse(
        DataConfig,
        {
            "manifests": [f"{data_dir / 'an4'}#split=train", f"{data_dir / 'fsdd'}#split=test"],
            "noise": {"manifest": str(data_dir / "noise"), "split": "train"},
            "batch_seconds": 30,
            "workers": 0,
        },
    )
    batches = list(itertools.islice(loader(made), 5))
    assert all(batch.waveform.isfinite().all() and not batch.skipped for batch in batches)
    assert all(batch.waveform.numel() <= 30.1 * 16_000 for batch in batches)
