"""Stochastic depth: whole examples, right on average, in training alone."""

import pytest
import torch

from noisewise.models.cat.drop_path import DropPath


def test_whole_examples_are_dropped_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    branch = torch.ones(4000, 3, 2)
    dropped = DropPath(0.25)(branch)
    values = dropped.flatten(1)
    assert torch.equal(values, values[:, :1].expand_as(values))
    assert values[:, 0].unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert abs(float(values.mean()) - 1) < 0.03


def test_evaluation_and_zero_change_nothing() -> None:
    branch = torch.randn(5, 2)
    assert torch.equal(DropPath(0.5).eval()(branch), branch)
    assert torch.equal(DropPath(0.0)(branch), branch)
    with pytest.raises(ValueError, match="chance"):
        DropPath(1.0)
