"""The guard: a step whose loss or gradient is not a number is named, kept for inspection, and not taken."""

import json
import logging
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from noisewise.batch import Batch
from noisewise.errors import NoisewiseError

logger = logging.getLogger(__name__)


class TrainingDiverged(NoisewiseError):
    """Too many steps in a row could not be taken."""


class Guard:
    """Counts bad steps in a row and keeps their batches under `bad_batches/`."""

    def __init__(self, run: Path, patience: int = 10, keep: int = 20):
        self.folder = run / "bad_batches"
        self.patience = patience
        self.keep = keep
        self.in_a_row = 0

    def passes(self, loss: Tensor, norm: Tensor) -> bool:
        """Whether a step may be taken."""
        good = bool(torch.isfinite(norm)) and bool(torch.isfinite(loss))
        if good:
            self.in_a_row = 0
        return good

    def record(self, step: int, batches: list[Batch], loss: float, norm: float, rank: int) -> None:
        """Name the utterances of a bad step and keep its batches.

        Raises:
            TrainingDiverged: it was the `patience`-th in a row.
        """
        self.in_a_row += 1
        ids = [name for batch in batches for name in batch.ids]
        kept = self._keep(step, batches, rank)
        logger.warning(
            "step %d not taken: loss %s, gradient norm %s; utterances %s; batch kept in %s", step, loss, norm, ids, kept
        )
        if self.in_a_row >= self.patience:
            raise TrainingDiverged(
                f"{self.patience} steps in a row gave a loss or gradient that is not finite, the last with {ids}; "
                f"look at {self.folder}, lower optimizer.lr or run.clip_norm, or use run.precision=32-true"
            )

    def _keep(self, step: int, batches: list[Batch], rank: int) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step_{step:08d}_{rank}"
        if len(list(self.folder.glob("*.json"))) < self.keep:
            tensors = {
                f"{index}.{name}": value.detach().cpu().contiguous().clone()
                for index, batch in enumerate(batches)
                for name, value in vars(batch).items()
                if isinstance(value, Tensor)
            }
            save_file(tensors, path.with_suffix(".safetensors"))
            text = [{"ids": batch.ids, "texts": batch.texts} for batch in batches]
            path.with_suffix(".json").write_text(json.dumps(text, indent=2), encoding="utf-8")
        return path.with_suffix(".safetensors")
