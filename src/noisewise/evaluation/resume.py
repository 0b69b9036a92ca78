"""Finished conditions of an evaluation, on disk: an interrupted run goes on at the first condition that is missing.

The file has one JSON value per line: first what identifies the run, then one line for each finished condition.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from noisewise.config import parse
from noisewise.errors import ConfigError, EvaluationError
from noisewise.evaluation import json_lines
from noisewise.evaluation.conditions import Condition
from noisewise.files import replaced

MOST_BYTES = 256 << 20
"""Length of the longest line that is read: the hypotheses of one condition."""
logger = logging.getLogger(__name__)


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

    def is_of(self, items: int) -> bool:
        """Whether it has an output for each of so many recordings."""


CellT = TypeVar("CellT", bound=Cell)


class Partial(Generic[CellT]):
    """The finished conditions of a run that may be interrupted."""

    def __init__(
        self, path: Path | None, identity: dict[str, Any], kind: type[CellT], items: int | None = None
    ) -> None:
        """Read the file, if there is one. Lines that cannot be read, such as one that was being written when the run
        was killed, are left out and counted: their conditions are measured again.

        Args:
            path: the file; nothing is kept when left out.
            identity: what makes cells comparable: manifests, seed, system.
            kind: class of the cells.
            items: number of recordings of each condition with speech; not checked when left out.

        Raises:
            EvaluationError: the file belongs to another run.
        """
        self.path = path
        self.cells: dict[Condition, CellT] = {}
        self.broken_lines = 0
        if path is None:
            return
        lines = [value for _, value in json_lines.read(path, MOST_BYTES)] if path.is_file() else []
        if lines and lines[0] != identity:
            first = lines[0] if isinstance(lines[0], dict) else {}
            changed = [key for key in {**first, **identity} if first.get(key) != identity.get(key)]
            raise EvaluationError(
                f"`{path}` must be the beginning of this run, but differs in {', '.join(changed)}; "
                "delete it, or choose another output"
            )
        for values in lines[1:]:
            cell = None if values is None else _cell(kind, values, items)
            if cell is not None:
                self.cells[cell.condition] = cell
            else:
                self.broken_lines += 1
        if self.broken_lines:
            logger.warning("%s: %d lines cannot be read; their conditions are measured again", path, self.broken_lines)
        with replaced(path) as file:
            file.writelines(json.dumps(values) + "\n" for values in (identity, *map(_plain, self.cells.values())))

    def add(self, cell: CellT) -> None:
        """Keep a finished cell."""
        self.cells[cell.condition] = cell
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_plain(cell)) + "\n")


def _plain(cell: Any) -> dict[str, Any]:
    return asdict(cell)


def _cell(kind: type[CellT], values: Any, items: int | None) -> CellT | None:
    """A finished cell; None where the values are none, or of another number of recordings."""
    try:
        cell = parse(kind, values)
        return cell if items is None or cell.condition.kind == "speech_free" or cell.is_of(items) else None
    except (ConfigError, TypeError, ValueError, AttributeError, RecursionError):
        return None
