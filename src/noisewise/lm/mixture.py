"""Several language models as one, for text of several kinds: each sentence is of one kind, but nobody says which.

R. Iyer, M. Ostendorf (1999), "Modeling Long Distance Dependence in Language: Topic Mixtures Versus Dynamic Cache
Models", equation (2):

    P(Y) = sum_m lambda_m P_m(Y)
    P(w | h) = sum_m P(m | h) P_m(w | h)        P(m | h) ~ lambda_m P_m(h)

so that the words so far decide which model predicts the rest.

Legend: M models.
"""

import json
import math
import shutil
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

from noisewise.config import config, dump
from noisewise.errors import DecodingError
from noisewise.lm.protocol import LanguageModel, sentence_score

MIXTURE = "mixture.json"
"""File in the folder of a mixture that lists its models."""
UNKNOWN = -20.0
"""ln P of a word for a model that does not know it, if another does: hardly, but a wrong guess is not the end."""
LEAST = 1e-3
"""Smallest weight that is fitted."""
MOST_MODELS = 64
ROUNDS = 50
"""Iterations of the fit."""


@config
class PartConfig:
    """One model of a mixture."""

    lm: str
    """ARPA file in the folder of the mixture."""
    weight: float
    """Weight of the model, lambda."""
    classes: str | None = None
    """File in the folder with the classes that the model is over; none for words."""


@config
class MixtureConfig:
    """Content of `mixture.json`."""

    models: list[PartConfig]
    """At least one; their weights are made to sum to one."""

    def __post_init__(self) -> None:
        if not 0 < len(self.models) <= MOST_MODELS:
            raise DecodingError(f"`models` must be 1 to {MOST_MODELS}, but are {len(self.models)} instead; change them")
        wrong = [part.weight for part in self.models if not 0 < part.weight < math.inf]
        if wrong:
            raise DecodingError(f"`weight` of a model must be above 0, but is {wrong[0]} instead; change it")


class SentenceMixture:
    """A language model whose state holds the state of each model and the logarithm of P(m | h).

    Args:
        models: over the same kind of tokens.
        weights: lambda, in any measure.
    """

    def __init__(self, models: Sequence[LanguageModel], weights: Sequence[float]):
        self.models = list(models)
        total = sum(weights)
        self.weights = tuple(math.log(weight / total) for weight in weights)

    def start(self) -> Hashable:
        """The state at the beginning of a sentence."""
        return tuple(model.start() for model in self.models), self.weights

    def score(self, state: Any, token: str) -> tuple[float, Hashable]:
        """ln P(token | state), and the state after the token."""
        states, believed = state
        scored = [model.score(each, token) for model, each in zip(self.models, states, strict=True)]
        scores = [score for score, _ in scored]
        known = [model.knows(token) for model in self.models]
        if any(known):
            scores = [score if is_known else UNKNOWN for score, is_known in zip(scores, known, strict=True)]
        joint = [score + belief for score, belief in zip(scores, believed, strict=True)]
        total = _log_sum(joint)
        return total, (tuple(after for _, after in scored), tuple(each - total for each in joint))

    def end(self, state: Any) -> float:
        """ln P(the sentence ends | state)."""
        states, believed = state
        ends = [model.end(each) for model, each in zip(self.models, states, strict=True)]
        return _log_sum([end + belief for end, belief in zip(ends, believed, strict=True)])

    def knows(self, token: str) -> bool:
        """Whether the token is in the vocabulary of one of them."""
        return any(model.knows(token) for model in self.models)


def fit(models: Sequence[LanguageModel], sentences: Iterable[Sequence[str]]) -> list[float]:
    """The weights under which a text is likeliest, by expectation and maximisation.

    Raises:
        DecodingError: there is no text.
    """
    scored = [[sentence_score(model, sentence) for model in models] for sentence in sentences]
    if not scored:
        raise DecodingError("the text must hold a sentence, but holds none; give another")
    weights = [1 / len(models)] * len(models)
    for _ in range(ROUNDS):
        shares = [0.0] * len(models)
        for scores in scored:
            joint = [math.log(weight) + score for weight, score in zip(weights, scores, strict=True)]
            total = _log_sum(joint)
            shares = [share + math.exp(each - total) for share, each in zip(shares, joint, strict=True)]
        weights = [max(share / len(scored), LEAST) for share in shares]
    return [round(weight / sum(weights), 4) for weight in weights]


def write(folder: Path, files: Sequence[tuple[Path, Path | None]], weights: Sequence[float]) -> None:
    """Put a mixture into an empty folder, with copies of all its files.

    Args:
        folder: where to.
        files: of each model the ARPA file, and the list of classes if it is over such.
        weights: lambda of each.
    """
    parts = []
    for number, ((lm, class_list), weight) in enumerate(zip(files, weights, strict=True), start=1):
        name = f"{number}.arpa.gz" if lm.suffix == ".gz" else f"{number}.arpa"
        shutil.copyfile(lm, folder / name)
        if class_list:
            shutil.copyfile(class_list, folder / f"{number}.classes.txt")
        parts.append(PartConfig(lm=name, weight=weight, classes=f"{number}.classes.txt" if class_list else None))
    text = json.dumps(dump(MixtureConfig(models=parts)), indent=2)
    (folder / MIXTURE).write_text(text + "\n", encoding="utf-8")


def _log_sum(values: Sequence[float]) -> float:
    most = max(values)
    return most + math.log(sum(math.exp(value - most) for value in values))
