"""Finished conditions of an evaluation, on disk: an interrupted run goes on at the first condition that is missing.

The file has one JSON value per line: first what identifies the run, then one line for each finished condition.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from noisewise.config import parse
from noisewise.errors import ConfigError, EvaluationError
from noisewise.evaluation.conditions import Condition
from noisewise.files import replaced


class Cell(Protocol):
    """The outputs of a system under one condition, as they are kept: a dataclass of plain values."""

    @property
    def condition(self) -> Condition:
        """The condition."""

    @property
    def failures(self) -> dict[str, str]:
        """Id of a recording to the reason, where the system failed."""

    @property
    def scaled(self) -> int:
        """Mixtures that exceeded full scale, and were scaled down where 16-bit samples were needed."""

    @property
    def mixture_sha256(self) -> str:
        """Hash over ids and 16-bit samples of all inputs in order; equal for systems that were given the same."""


CellT = TypeVar("CellT", bound=Cell)


class Partial(Generic[CellT]):
    """The finished conditions of a run that may be interrupted."""

    def __init__(self, path: Path | None, identity: dict[str, Any], kind: type[CellT]) -> None:
        """Read the file, if there is one.

        Args:
            path: the file; nothing is kept when left out.
            identity: what makes cells comparable: manifests, seed, system.
            kind: class of the cells.

        Raises:
            EvaluationError: the file belongs to another run.
        """
        self.path = path
        self.cells: dict[Condition, CellT] = {}
        if path is None:
            return
        lines = _lines(path)
        if lines and lines[0] != identity:
            changed = [key for key in identity if lines[0].get(key) != identity[key]]
            raise EvaluationError(
                f"`{path}` must be the beginning of this run, but differs in {', '.join(changed)}; "
                "delete it, or choose another output"
            )
        for values in lines[1:]:
            cell = _cell(kind, values, path)
            self.cells[cell.condition] = cell
        with replaced(path) as file:
            file.writelines(json.dumps(values) + "\n" for values in (identity, *map(_plain, self.cells.values())))

    def add(self, cell: CellT) -> None:
        """Keep a finished cell."""
        self.cells[cell.condition] = cell
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_plain(cell)) + "\n")


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; one that was being written when the run was killed is left out."""
    if not path.is_file():
        return []
    values = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return values


def _plain(cell: Any) -> dict[str, Any]:
    return asdict(cell)


def _cell(kind: type[CellT], values: Any, path: Path) -> CellT:
    try:
        return parse(kind, values)
    except ConfigError as error:
        raise EvaluationError(f"`{path}` must hold partial results, but does not: {error}; delete it") from error
