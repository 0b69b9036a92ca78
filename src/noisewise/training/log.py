"""The run's log: one JSON object a line in `log.jsonl`, and TensorBoard if asked for."""

import json
from pathlib import Path
from typing import Any

from noisewise.files import replaced


class Log:
    """Appends records to `log.jsonl`; a resumed run goes on in the same file."""

    def __init__(self, run: Path, *, tensorboard: bool = False, after_step: int | None = None):
        self.path = run / "log.jsonl"
        if after_step is not None:
            self._forget_after(after_step)
        self._writer: Any = _tensorboard(run) if tensorboard else None

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Add one record of plain values."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(f"{kind}/{name}", value, step)

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


def _tensorboard(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("TensorBoard is missing; install it with: pip install 'noisewise[tracking]'") from error
    return SummaryWriter(run / "tensorboard")
