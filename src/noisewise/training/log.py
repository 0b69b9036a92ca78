"""The run's log: one JSON object a line in `log.jsonl`, and trackers if asked for (`noisewise.training.trackers`)."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from noisewise.files import replaced
from noisewise.training.trackers import Tracker

BLOCKS = "▁▂▃▄▅▆▇█"


class Log:
    """Appends records to `log.jsonl`; a resumed run goes on in the same file."""

    def __init__(self, run: Path, *, trackers: Sequence[Tracker] = (), after_step: int | None = None):
        self.path = run / "log.jsonl"
        if after_step is not None:
            self._forget_after(after_step)
        self._trackers = trackers

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Add one record of plain values."""
        with self.path.open("a", encoding="utf-8") as file:
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
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (json.JSONDecodeError, KeyError):
                continue  # a line cut short by a kill
        with replaced(self.path) as file:
            file.writelines(kept)


def read(run: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Records of a run's log, all or of one kind."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return [record for record in records if kind is None or record["kind"] == kind]


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
