"""Time left: the work shared out evenly, or the longest chain of runs that need one another."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from noisewise.experiments.eta import recorded_seconds_per_step, seconds_left, seconds_per_step


@dataclass
class Fake:
    """A run of ten steps."""

    name: str
    seed: int = 0
    file: Path = Path("a.yaml")
    done: int = 0
    seconds: float = 0.0
    needs: list[str] = field(default_factory=list)
    steps: int = 10

    @property
    def key(self) -> str:
        return f"seed_{self.seed}/{self.name}"

    def finished(self) -> bool:
        return self.done == self.steps

    def reached(self) -> int:
        return self.done

    def state(self) -> Any:
        return SimpleNamespace(step=self.done, seconds=self.seconds) if self.done else None


def test_a_run_without_steps_takes_the_pace_of_its_recipe() -> None:
    runs: Any = [Fake("a", done=5, seconds=10.0), Fake("b"), Fake("c", file=Path("c.yaml"))]
    assert seconds_per_step(runs) == {"a": 2.0, "b": 2.0}


def test_the_longest_chain_or_the_shares() -> None:
    runs: Any = [Fake("a"), Fake("b", needs=["a"]), Fake("c"), Fake("d", done=10)]
    pace = {"a": 1.0, "b": 2.0}
    assert seconds_left(runs, pace, 1) == pytest.approx(10 + 20 + 15), "c takes the mean of the others"
    assert seconds_left(runs, pace, 4) == pytest.approx(10 + 20), "b waits for a"
    assert seconds_left(runs, {}, 1) is None
    assert seconds_left([runs[3]], {}, 1) == 0.0


def test_no_stored_result_is_no_pace(tmp_path: Path) -> None:
    assert recorded_seconds_per_step(tmp_path / "none.json") == {}
