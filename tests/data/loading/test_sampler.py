from typing import Any

import numpy as np
import pytest

from noisewise.data.loading.sampler import BatchSampler
from noisewise.errors import ConfigError

DURATIONS = np.random.default_rng(0).uniform(0.5, 12, 300).tolist()


def indices(sampler: BatchSampler, epoch: int = 0) -> list[int]:
    return [index for request in sampler.epoch_batches(epoch) for index in request.indices]


def test_every_utterance_once_and_no_batch_too_large() -> None:
    sampler = BatchSampler(DURATIONS, 40)
    assert sorted(indices(sampler)) == list(range(300))
    for request in sampler.epoch_batches(0):
        assert len(request.indices) * max(DURATIONS[index] for index in request.indices) <= 40


def test_an_utterance_longer_than_the_budget_goes_alone() -> None:
    sampler = BatchSampler([1, 50, 1], 10)
    assert sorted(indices(sampler)) == [0, 1, 2]
    assert (1,) in [request.indices for request in sampler.epoch_batches(0)]


def test_little_padding() -> None:
    padded = sum(
        len(request.indices) * max(DURATIONS[index] for index in request.indices)
        for request in BatchSampler(DURATIONS, 40).epoch_batches(0)
    )
    assert padded < 1.2 * sum(DURATIONS)


def test_epochs_and_seeds_differ_but_repeat() -> None:
    sampler = BatchSampler(DURATIONS, 40, seed=3)
    assert sampler.epoch_batches(1) == BatchSampler(DURATIONS, 40, seed=3).epoch_batches(1)
    assert indices(sampler, 0) != indices(sampler, 1)
    assert indices(sampler, 0) != indices(BatchSampler(DURATIONS, 40, seed=4), 0)
    members = [{frozenset(request.indices) for request in sampler.epoch_batches(epoch)} for epoch in (0, 1)]
    assert len(members[0] & members[1]) < len(members[0]) / 2  # the company changes, not only the order


@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_ranks_take_as_many_steps_and_share_everything(ranks: int) -> None:
    parts = [BatchSampler(DURATIONS, 40, rank=rank, world_size=ranks).epoch_batches(0) for rank in range(ranks)]
    assert len({len(part) for part in parts}) == 1
    together = [index for part in parts for request in part for index in request.indices]
    assert set(together) == set(range(300))
    whole = len(BatchSampler(DURATIONS, 40).epoch_batches(0))
    assert sum(map(len, parts)) - whole < ranks


def test_ranks_get_batches_of_similar_length_at_a_step() -> None:
    parts = [BatchSampler(DURATIONS, 40, rank=rank, world_size=2).epoch_batches(0) for rank in range(2)]
    for left, right in zip(*parts, strict=True):
        longest = [max(DURATIONS[index] for index in request.indices) for request in (left, right)]
        assert max(longest) < 2.0 * min(longest) or max(longest) < 3


def test_without_shuffle_from_long_to_short() -> None:
    sampler = BatchSampler(DURATIONS, 40, shuffle=False)
    lengths = [DURATIONS[index] for index in indices(sampler)]
    assert lengths == sorted(lengths, reverse=True)
    assert indices(sampler, 0) == indices(sampler, 5)


def test_max_batch() -> None:
    assert max(len(request.indices) for request in BatchSampler([1] * 10, 100, max_batch=3).epoch_batches(0)) == 3


def test_resuming_at_any_place_gives_the_rest() -> None:
    sampler = BatchSampler(DURATIONS, 40)
    whole = list(sampler.from_position(0, 0, epochs=3))
    for place in (0, 1, len(sampler.epoch_batches(0)) - 1, len(sampler.epoch_batches(0)) + 4):
        epoch, position = whole[place][:2]
        assert list(sampler.from_position(epoch, position, epochs=3)) == whole[place:]


@pytest.mark.parametrize("durations", [[], [1.0, 0.0], [float("nan")]])
def test_durations_must_be_positive(durations: list[float]) -> None:
    with pytest.raises(ConfigError, match="positive durations"):
        BatchSampler(durations, 10)


def test_sizes_must_make_sense() -> None:
    with pytest.raises(ConfigError, match="batch_seconds"):
        BatchSampler([1.0], 0)
    with pytest.raises(ConfigError, match="rank"):
        BatchSampler([1.0], 1, rank=2, world_size=2)


WEIGHTS = [1.0] * 150 + [5.0] * 100 + [0.0] * 50


def balanced(**changes: Any) -> BatchSampler:
    return BatchSampler(DURATIONS, 40, **{"seed": 1, "weights": WEIGHTS, "draws": 60, **changes})


def test_a_balanced_epoch_holds_none_twice_and_heavy_ones_oftener() -> None:
    """Each draw is in proportion to the weights that are left, which a plain simulation does as well."""
    counts = np.zeros(300)
    for epoch in range(400):
        found = indices(balanced(), epoch)
        assert len(found) == len(set(found)) == 60
        counts[found] += 1
    assert not counts[250:].any()
    heavy = counts[150:250].sum() / counts.sum()
    random, chosen = np.random.default_rng(0), 0
    for _ in range(400):
        drawn = random.choice(250, size=60, replace=False, p=np.array(WEIGHTS[:250]) / sum(WEIGHTS))
        chosen += int((drawn >= 150).sum())
    assert heavy == pytest.approx(chosen / (400 * 60), abs=0.01) and heavy > 0.7


def test_balanced_epochs_differ_repeat_and_go_on() -> None:
    assert balanced().epoch_batches(3) == balanced().epoch_batches(3)
    assert set(indices(balanced(), 0)) != set(indices(balanced(), 1)) != set(indices(balanced(seed=2), 1))
    whole = list(balanced().from_position(0, 0, epochs=3))
    assert list(balanced().from_position(1, 2, epochs=3)) == [
        each for each in whole if (each[0], each[1]) >= (1, 2)
    ]  # fmt: skip
    ranks = [balanced(rank=rank, world_size=2).epoch_batches(0) for rank in range(2)]
    assert {i for part in ranks for request in part for i in request.indices} == set(indices(balanced()))


@pytest.mark.parametrize("draws", [None, 0, 250])
def test_balance_without_a_choice_is_refused(draws: int | None) -> None:
    with pytest.raises(ConfigError, match="less than the 250 recordings with a label"):
        balanced(draws=draws)
