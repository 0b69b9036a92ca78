"""The run's log: one JSON object a line in `log.jsonl`, and trackers if asked for (`noisewise.training.trackers`)."""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from noisewise.files import replaced, system_errors
from noisewise.training.trackers import Tracker

logger = logging.getLogger(__name__)

BLOCKS = "▁▂▃▄▅▆▇█"


class Log:
    """Appends records to `log.jsonl`; a resumed run goes on in the same file."""

    def __init__(self, run: Path, *, trackers: Sequence[Tracker] = (), after_step: int | None = None):
        """Open the log of a run.

        Args:
            run: folder of the run.
            trackers: where numbers also go.
            after_step: step that the run goes on from: records of later ones were lost with the process and are
                dropped, for they will be made again; 0 for a run that begins anew, None to leave all there are.
        """
        self.path = run / "log.jsonl"
        if after_step is not None:
            self._forget_after(after_step)
        self._trackers = trackers

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Add one record of plain values."""
        with system_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}, ensure_ascii=False) + "\n")
        numbers = {
            f"{kind}/{name}": value
            for name, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        for tracker in self._trackers if numbers else ():
            tracker.log(numbers, step)

    def end(self) -> None:
        """Send what trackers have left."""
        for tracker in self._trackers:
            tracker.end()

    def _forget_after(self, step: int) -> None:
        """Drop records of steps that were lost with the process and will be done again."""
        if not self.path.is_file():
            return
        with replaced(self.path) as file:
            for line, record in _lines(self.path):
                if _is_before(record, step):
                    file.write(line + "\n")


def read(run: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Records of a run's log, all or of one kind; lines that are no records are left out, with a warning."""
    return [record for _, record in _lines(run / "log.jsonl") if kind is None or record["kind"] == kind]


def skipped_ids(run: Path) -> set[str]:
    """Items that the log of a run has as skipped."""
    if not (run / "log.jsonl").is_file():
        return set()
    return {str(record.get("id")) for record in read(run, "skipped")}


def curve(run: Path, kind: str, name: str) -> list[float]:
    """The values of a number over the records of one kind, in their order."""
    return [float(record[name]) for record in read(run, kind) if name in record]


def sparkline(values: Sequence[float], width: int = 30) -> str:
    """A curve as a line of blocks, the greatest value the highest; of many values, evenly spaced ones.

    Example:
        >>> sparkline([4, 3, 2, 1, 1])
        '█▆▃▁▁'
    """
    known = [value for value in values if math.isfinite(value)]
    if len(known) > width:
        known = [known[round(at * (len(known) - 1) / (width - 1))] for at in range(width)]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known) or 1.0
    return "".join(BLOCKS[round((value - low) / span * (len(BLOCKS) - 1))] for value in known)


def _is_before(record: dict[str, Any], step: int) -> bool:
    """Whether a record is of what a checkpoint holds; what is skipped is met on the way to the step that follows."""
    return bool(record["step"] < step if record["kind"] == "skipped" else record["step"] <= step)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record with its line; what is no record is counted, and said when all are read."""
    junk = 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            record = _record(line)
            if record is None:
                junk += 1
            else:
                yield line.rstrip("\n"), record
    if junk:
        logger.warning("%s: %d lines are no records of a run and are left out", path, junk)


def _record(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None  # cut short by a kill, or foreign
    if not isinstance(found, dict) or not isinstance(found.get("kind"), str) or type(found.get("step")) is not int:
        return None
    return found
