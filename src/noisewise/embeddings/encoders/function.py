"""`python:module:function`: any function from a list of waveforms to a list of arrays. It is run: name code you trust.

A waveform is (T,) float32 at the `SAMPLE_RATE` of the module, 16 kHz where it has none. An array is (E,), one vector
of the clip, or (F, E), its frames. `VERSIONS` of the module, a dict of texts, is kept beside the vectors.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.embeddings.encoders.protocol import Encoding, FrozenEncoder
from noisewise.errors import ModelError

PREFIX = "python:"
Function = Callable[[list[NDArray[np.float32]]], Sequence[Any]]


class FunctionEncoder(FrozenEncoder):
    """A function behind the interface of `FrozenEncoder`."""

    window = None
    pooling = None
    weights_sha256 = None

    def __init__(self, name: str, function: Function, sample_rate: int, details: dict[str, str]) -> None:
        self.name, self.function, self.sample_rate, self.details = name, function, sample_rate, details

    def encode(self, clips: Sequence[Tensor]) -> list[Encoding]:
        """One call with all clips; that none depends on another is the function's responsibility."""
        answers = self.function([clip.numpy().astype(np.float32) for clip in clips])
        if not isinstance(answers, Sequence | np.ndarray | Tensor) or len(answers) != len(clips):
            raise ModelError(f"`{self.name}` must return one array a waveform, {len(clips)}, but does not")
        return [self._encoding(answer) for answer in answers]

    def _encoding(self, answer: Any) -> Encoding:
        values = answer.detach().cpu().numpy() if isinstance(answer, Tensor) else np.asarray(answer)
        if values.ndim not in (1, 2) or values.dtype.kind != "f" or not values.shape[-1]:
            raise ModelError(
                f"`{self.name}` must return arrays (E,) or (F, E) of floats, but returned {values.shape} of "
                f"{values.dtype} instead"
            )
        vectors = torch.tensor(values, dtype=torch.float32)
        return Encoding(None, pooler=vectors) if vectors.ndim == 1 else Encoding(vectors)


def load(specification: str) -> FunctionEncoder:
    """Import the module, from the working folder too, and find the function.

    Raises:
        ModelError: there is none.
    """
    module_name, _, function_name = specification.removeprefix(PREFIX).partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise ModelError(
            f"`{specification}` must be python:module:function, but the module cannot be imported: {error}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(
            f"`{specification}` must name a function of `{module_name}`, but '{function_name}' is none; write "
            "python:module:function"
        )
    rate = int(getattr(module, "SAMPLE_RATE", SAMPLE_RATE))
    return FunctionEncoder(specification, function, rate, dict(getattr(module, "VERSIONS", {})))
