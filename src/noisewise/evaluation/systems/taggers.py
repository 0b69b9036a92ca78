"""Any tagger behind one call: 16 kHz float32 waveforms in, one score for each class (or one failure) for each out.

A tagger is named by a specification:

    a folder                    a tagger that noisewise has trained
    python:module:function      a function from a list of waveforms to scores, one row each; `LABELS` of its module
                                names the classes

Legend: K classes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import NoisewiseError, RecogniserError
from noisewise.evaluation.systems import python
from noisewise.evaluation.systems.protocol import Failure, Waveform, run_with_isolation
from noisewise.evaluation.systems.specification import kind_of
from noisewise.inference.tags import Probabilities

KIND = "cat_tagger"


@dataclass(frozen=True)
class NamedTagger:
    """A tagger with what a reader of its scores must be told about it."""

    name: str
    """The specification it was made from."""
    labels: list[str]
    """Names of the classes."""
    score: Callable[[list[Waveform]], object]
    """Function from waveforms to scores, higher where a label is likelier, one row (K,) a waveform."""
    details: dict[str, str] = field(default_factory=dict)
    """Facts about it, such as the hash of the weights."""

    def run(self, waveforms: list[Waveform]) -> list[Probabilities | Failure]:
        """Scores (K,) or a failure for each waveform (T,).

        Raises:
            RecogniserError: it gives something else.
        """
        return run_with_isolation(self.score, waveforms, self._checked)

    def _checked(self, outputs: object, count: int) -> list[Probabilities | Failure]:
        if not isinstance(outputs, Sequence | np.ndarray) or len(outputs) != count:
            raise RecogniserError(f"a tagger must return {count} rows of scores, one per waveform, but does not")
        return [output if isinstance(output, Failure) else self._row(output) for output in outputs]

    def _row(self, output: object) -> Probabilities:
        try:
            row: NDArray[np.float32] = np.asarray(output, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise RecogniserError(f"a tagger must return rows of numbers, but returned others: {error}") from error
        if row.shape != (len(self.labels),) or not np.isfinite(row).all():
            raise RecogniserError(
                f"a tagger must return {len(self.labels)} finite scores per waveform, as many as it has labels, but "
                f"returned {row.shape} instead"
            )
        return row


def is_tagger(specification: str) -> bool:
    """Whether a specification names a tagger, and no recogniser."""
    if specification.startswith("python:"):
        try:
            return _labels(specification) is not None
        except RecogniserError:
            return False  # reported when it is to be used
    from noisewise.checkpoints import model_folder

    if kind_of(specification) != "model":
        return False
    try:
        about = json.loads((model_folder.locate(specification).path / "config.json").read_text(encoding="utf-8"))
        return bool(about["model"]["kind"] == KIND)
    except (NoisewiseError, OSError, ValueError, KeyError, TypeError):
        return False


def load(specification: str, *, device: str = "cpu") -> NamedTagger:
    """A tagger from its specification.

    Raises:
        RecogniserError: there is no such function, or its module names no labels.
        NoisewiseError: there is no such model, or it is no tagger.
    """
    if specification.startswith("python:"):
        named = python.recogniser(specification)
        labels = _labels(specification)
        if not labels or len(set(labels)) < len(labels):
            raise RecogniserError(f"`{specification}` must stand in a module whose LABELS names each class once")
        return NamedTagger(specification, labels, named.recognise, named.details)
    from noisewise.checkpoints import model_folder
    from noisewise.inference.tagger import Tagger

    tagger = Tagger.load(specification, device)
    details = {"weights_sha256": model_folder.weights_hash(specification)}
    return NamedTagger(specification, tagger.labels, tagger.scores, details)


def _labels(specification: str) -> list[str] | None:
    labels = getattr(python.module_of(specification), "LABELS", None)
    return None if labels is None else [str(label) for label in labels]
