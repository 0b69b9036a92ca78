"""Logistic regression beside scikit-learn's; neighbours beside a count by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.embeddings.classifiers import Scale, linear, nearest


def blobs(count: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Clouds around a point for each class, at different scales and offsets of the dimensions."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, 4, generator=torch.Generator().manual_seed(0))
    label = torch.arange(count) % classes
    features = centres[label] + 0.7 * torch.randn(count, 4, generator=generator)
    return features * torch.tensor([1.0, 100.0, 0.01, 1.0]) + 3, torch.nn.functional.one_hot(label, classes).bool()


@pytest.mark.parametrize("penalty", [0.3, 0.01])
def test_one_label_a_clip_is_the_regression_of_scikit_learn(penalty: float) -> None:
    learn: Any = pytest.importorskip("sklearn.linear_model")
    features, labels = blobs(60, 3, 1)
    others, _ = blobs(20, 3, 2)
    scale = Scale.of(features.double())
    model = learn.LogisticRegression(C=1 / (60 * penalty), tol=1e-8, max_iter=2000)
    model.fit(scale(features.double()).numpy(), labels.int().argmax(dim=1).numpy())
    expected = torch.from_numpy(model.predict_proba(scale(others.double()).numpy()))
    found = linear(features, labels, others, [1.0, penalty])[1].softmax(dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_several_labels_are_one_regression_each() -> None:
    learn: Any = pytest.importorskip("sklearn.linear_model")
    features, labels = blobs(60, 3, 3)
    labels[::4, 0] = True  # some clips have two
    others, _ = blobs(20, 3, 4)
    scale, penalty = Scale.of(features.double()), 0.02
    (found,) = linear(features, labels, others, [penalty])
    for place in range(3):
        model = learn.LogisticRegression(C=1 / (60 * penalty), tol=1e-8, max_iter=2000)
        model.fit(scale(features.double()).numpy(), labels[:, place].numpy())
        expected = torch.from_numpy(model.decision_function(scale(others.double()).numpy()))
        torch.testing.assert_close(found[:, place], expected, rtol=1e-3, atol=1e-3)


def test_the_order_of_penalties_does_not_matter() -> None:
    features, labels = blobs(60, 3, 1)
    others, _ = blobs(20, 3, 2)
    together = linear(features, labels, others, [1.0, 0.1, 0.01])[2]
    torch.testing.assert_close(together, linear(features, labels, others, [0.01])[0], rtol=1e-3, atol=1e-3)


def test_neighbours_vote_by_their_cosine() -> None:
    features = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]])  # standardised: times sqrt(2) / 2
    labels = torch.tensor([[1, 0], [0, 1], [0, 1], [1, 0]]).bool()
    angle = math.radians(30)
    others = torch.tensor([[math.cos(angle), math.sin(angle)]])
    one, two = nearest(features, labels, others, [1, 2])
    assert one.tolist() == [[1.0, 0.0]]
    near, far = math.exp(math.cos(angle) / 0.07), math.exp(math.sin(angle) / 0.07)
    torch.testing.assert_close(two, torch.tensor([[near, far]], dtype=torch.float64) / (near + far))
    (more,) = nearest(features, labels, others, [9])  # all four there are
    assert more.sum() == pytest.approx(1.0)


def test_scale_leaves_a_constant_dimension_alone() -> None:
    features = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    torch.testing.assert_close(Scale.of(features)(features), torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
