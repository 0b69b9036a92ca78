"""Posteriors and trials of a tuning, kept in a folder: an interrupted one goes on, the next computes no posterior anew.

A file is named by a hash of everything that its content depends on.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisewise.files import replaced
from noisewise.text.tokenizer import Tokenizer
from noisewise.tuning.ctc import WeightTrial
from noisewise.tuning.posteriors import DevSetPosteriors


class TuningCache:
    """Posteriors of a development set, and trials.

    Args:
        folder: made if it is not there; nothing is kept when left out.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def posteriors(
        self, depends_on: Mapping[str, Any], tokenizer: Tokenizer, compute: Callable[[], DevSetPosteriors]
    ) -> DevSetPosteriors:
        """Posteriors that were kept, or else are computed now and kept.

        Args:
            depends_on: model, recordings, noise: what decides the log-probabilities.
            tokenizer: of the model.
            compute: runs the model over the recordings.
        """
        if self.folder is None:
            return compute()
        path = self.folder / f"posteriors-{_name(depends_on)}.npz"
        if path.is_file():
            return _read(path, tokenizer)
        found = compute()
        with replaced(path, "wb") as file:
            np.savez(
                file,
                frames=torch.cat(found.log_probs).to("cpu", torch.float32).numpy(),
                lengths=np.array([len(each) for each in found.log_probs]),
                references=np.array(found.references),
                frame_seconds=np.array(found.frame_seconds),
                left_out=np.array(found.left_out, dtype=str),
            )
        return found

    def trials(self, depends_on: Mapping[str, Any]) -> "KeptTrials":
        """The trials of a tuning.

        Args:
            depends_on: the development set, the configuration and its files, seed and number of trials.
        """
        return KeptTrials(self.folder / f"trials-{_name(depends_on)}.jsonl" if self.folder is not None else None)


class KeptTrials:
    """Trials in a file, one a line; `add` keeps one more."""

    def __init__(self, path: Path | None):
        self.path = path

    def read(self) -> list[WeightTrial]:
        """Those that are whole; a line that was being written when the run was killed ends the list."""
        if self.path is None or not self.path.is_file():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(WeightTrial(**json.loads(line)))
            except (json.JSONDecodeError, TypeError):
                break
        self.path.write_text("".join(_line(trial) for trial in found), encoding="utf-8")
        return found

    def add(self, trial: WeightTrial) -> None:
        """Keep one more."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(trial))


def _read(path: Path, tokenizer: Tokenizer) -> DevSetPosteriors:
    with np.load(path, allow_pickle=False) as kept:
        return DevSetPosteriors(
            tokenizer,
            kept["references"].tolist(),
            list(torch.split(torch.from_numpy(kept["frames"]), kept["lengths"].tolist())),
            frame_seconds=float(kept["frame_seconds"]),
            left_out=kept["left_out"].tolist(),
        )


def _line(trial: WeightTrial) -> str:
    return json.dumps(asdict(trial)) + "\n"


def _name(depends_on: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:12]
