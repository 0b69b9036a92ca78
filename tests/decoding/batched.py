"""A language model that must be told beforehand what it will be scored, around one that need not be."""

from collections.abc import Iterable
from typing import Any

from noisewise.lm.protocol import LanguageModel, Unit


class Batched:
    """Fails where it is scored what it did not foresee."""

    def __init__(self, model: LanguageModel, unit: Unit):
        self.model, self.unit = model, unit
        self.foreseen: set[Any] = set()
        self.calls = 0

    def start(self) -> Any:
        return self.model.start()

    def advance(self, state: Any, token: str) -> Any:
        return self.model.score(state, token)[1]

    def prefetch(self, states: Iterable[Any]) -> None:
        self.foreseen |= set(states)
        self.calls += 1

    def score(self, state: Any, token: str) -> tuple[float, Any]:
        assert state in self.foreseen, f"nobody said that {state} would be scored"
        return self.model.score(state, token)

    def end(self, state: Any) -> float:
        assert state in self.foreseen, f"nobody said that the end after {state} would be scored"
        return self.model.end(state)

    def knows(self, token: str) -> bool:
        return self.model.knows(token)
