"""What a tuning has done so far, kept in a folder, so that an interrupted one goes on and the next need not hear again.

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
from noisewise.tuning.ctc import HeardTexts, Trial


class TuningCache:
    """Log-probabilities of a development set, and trials.

    Args:
        folder: made if it is not there; nothing is kept when left out.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def heard(self, depends_on: Mapping[str, Any], tokenizer: Tokenizer, hear: Callable[[], HeardTexts]) -> HeardTexts:
        """What was heard before, or else is heard now.

        Args:
            depends_on: model, recordings, noise: what decides the log-probabilities.
            tokenizer: of the model.
            hear: puts the recordings through the model.
        """
        if self.folder is None:
            return hear()
        path = self.folder / f"heard-{_name(depends_on)}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as kept:
                frames, lengths = torch.from_numpy(kept["frames"]), kept["lengths"].tolist()
                return HeardTexts(tokenizer, kept["references"].tolist(), list(torch.split(frames, lengths)))
        found = hear()
        stacked = torch.cat(found.log_probs).to("cpu", torch.float32).numpy()
        counts = np.array([len(each) for each in found.log_probs])
        with replaced(path, "wb") as file:
            np.savez(file, frames=stacked, lengths=counts, references=np.array(found.references))
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

    def read(self) -> list[Trial]:
        """Those that are whole; a line that was being written when the run was killed ends the list."""
        if self.path is None or not self.path.is_file():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(Trial(**json.loads(line)))
            except (json.JSONDecodeError, TypeError):
                break
        with replaced(self.path) as file:
            file.writelines(map(_line, found))
        return found

    def add(self, trial: Trial) -> None:
        """Keep one more."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(trial))


def _line(trial: Trial) -> str:
    return json.dumps(asdict(trial)) + "\n"


def _name(depends_on: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:12]
