"""The run's log: one JSON object a line in `log.jsonl`, and TensorBoard if asked for."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noisewise.errors import ConfigError
from noisewise.files import replaced, system_errors

logger = logging.getLogger(__name__)


class Log:
    """Appends records to `log.jsonl`; a resumed run goes on in the same file."""

    def __init__(self, run: Path, *, tensorboard: bool = False, after_step: int | None = None):
        """Open the log of a run.

        Args:
            run: folder of the run.
            tensorboard: whether numbers also go to TensorBoard.
            after_step: step that the run goes on from: records of later ones were lost with the process and are
                dropped, for they will be made again; 0 for a run that begins anew, None to leave all there are.
        """
        self.path = run / "log.jsonl"
        if after_step is not None:
            self._forget_after(after_step)
        self._writer: Any = _tensorboard(run, after_step) if tensorboard else None

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Add one record of plain values."""
        with system_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(f"{kind}/{name}", value, step)

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


def must_have_tensorboard() -> None:
    """See that TensorBoard is installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "`run.tensorboard` must be false without TensorBoard, but is true; install it with: "
            "pip install 'noisewise[tracking]'"
        ) from error


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


def _tensorboard(run: Path, after_step: int | None) -> Any:
    must_have_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(run / "tensorboard", purge_step=None if after_step is None else after_step + 1)
