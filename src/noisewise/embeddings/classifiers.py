"""The two classifiers that probe frozen vectors: logistic regression, and nearest neighbours.

Both take vectors that are standardised, every dimension to mean 0 and variance 1 over the training clips. They are
written in torch: one form serves one label a clip and many, on any device. Tests hold the regression against
scikit-learn's.

Legend: N clips of training, M others, D width, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0001)
"""Strengths of the regularisation that are tried, from strong to weak."""
NEIGHBOURS = (50, 20, 10, 5, 3, 1)
"""Numbers of neighbours that are tried."""
TEMPERATURE = 0.07
"""Temperature of the votes of neighbours (Wu et al. 2018, as self-supervised image models are evaluated)."""


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of every dimension."""

    mean: Tensor
    """Mean of every dimension. (D,)"""
    deviation: Tensor
    """Standard deviation of every dimension. (D,)"""

    @classmethod
    def of(cls, features: Tensor) -> "Scale":
        """Measured on vectors (N, D); a dimension that never changes is left alone."""
        deviation = features.std(dim=0, correction=0)
        return cls(features.mean(dim=0), torch.where(deviation > 1e-9, deviation, torch.ones_like(deviation)))

    def __call__(self, features: Tensor) -> Tensor:
        """Standardised vectors. (N, D) -> (N, D)"""
        return (features - self.mean) / self.deviation


def linear(features: Tensor, labels: Tensor, others: Tensor, penalties: Sequence[float]) -> list[Tensor]:
    """Logistic regression: softmax where every training clip has one label, a sigmoid for each class otherwise.

    The objective is the mean over clips of the cross-entropy (summed over classes, with sigmoids) plus
    penalty / 2 times the squared weights, bias left out: scikit-learn's C is 1 / (N penalty).

    Args:
        features: vectors of the training clips. (N, D)
        labels: whether a label holds. (N, K) bool.
        others: vectors to score. (M, D)
        penalties: each solved from the solution of the one before.

    Returns:
        Logits of the others for each penalty. (M, K) each
    """
    scale, one = Scale.of(features.double()), bool((labels.sum(dim=1) == 1).all())
    inputs, targets, found = scale(features.double()), labels.double(), []
    weight = torch.zeros(features.size(1), labels.size(1), dtype=torch.float64)
    bias = torch.zeros(labels.size(1), dtype=torch.float64)
    for penalty in penalties:
        weight, bias = _solved(inputs, targets, penalty, weight, bias, one)
        found.append(scale(others.double()) @ weight + bias)
    return found


def nearest(features: Tensor, labels: Tensor, others: Tensor, neighbours: Sequence[int]) -> list[Tensor]:
    """Votes of the nearest training clips by cosine, each weighing exp(cosine / 0.07).

    Args:
        features: vectors of the training clips. (N, D)
        labels: whether a label holds. (N, K) bool.
        others: vectors to score. (M, D)
        neighbours: how many vote.

    Returns:
        Share of the votes that each class has, for each number of neighbours. (M, K) each
    """
    scale = Scale.of(features.double())
    likeness = _unit(scale(others.double())) @ _unit(scale(features.double())).T  # (M, N)
    likeness, places = likeness.topk(min(max(neighbours), len(features)), dim=1)
    votes = labels.double()[places]  # (M, most, K)
    weights = ((likeness - likeness[:, :1]) / TEMPERATURE).exp().unsqueeze(2)
    return [(votes * weights)[:, :count].sum(dim=1) / weights[:, :count].sum(dim=1) for count in neighbours]


def _solved(
    inputs: Tensor, targets: Tensor, penalty: float, weight: Tensor, bias: Tensor, one: bool
) -> tuple[Tensor, Tensor]:
    """Weights (D, K) and bias (K,) at the minimum, which is unique, by L-BFGS from those given."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=300, tolerance_grad=1e-5, tolerance_change=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        solver.zero_grad()
        logits = inputs @ weight + bias
        entropy = (
            F.cross_entropy(logits, targets)
            if one
            else F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1).mean()
        )
        loss = entropy + penalty / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors, dim=1)
