"""ARPA files and KenLM binaries, read by the packages kenlm and flashlight-text."""

from collections.abc import Hashable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from noisewise.errors import DecodingError
from noisewise.lm.protocol import LN_10


class KenLM:
    """A model read by the package kenlm."""

    def __init__(self, path: str | Path):
        self._kenlm = _import("kenlm", "kenlm")
        try:
            self._model = self._kenlm.Model(str(path))
        except OSError as error:
            raise DecodingError(f"`{path}` must be readable by kenlm, but is not: {error}") from error

    def start(self) -> Hashable:
        """The state at the beginning of a sentence."""
        state = self._kenlm.State()
        self._model.BeginSentenceWrite(state)
        return state  # type: ignore[no-any-return]

    def score(self, state: Any, token: str) -> tuple[float, Hashable]:
        """ln P(token | state), and the state after the token."""
        after = self._kenlm.State()
        return float(self._model.BaseScore(state, token, after)) * LN_10, after

    def end(self, state: Any) -> float:
        """ln P(the sentence ends | state)."""
        return self.score(state, "</s>")[0]

    def knows(self, token: str) -> bool:
        """Whether the token is in the vocabulary."""
        return token in self._model


class FlashlightKenLM:
    """A model read by the KenLM inside flashlight-text, which has wheels for Python 3.11 and 3.12.

    Args:
        path: ARPA file or KenLM binary.
        vocabulary: words to be told apart; all others are `<unk>` (its interface cannot list those of the file).
    """

    def __init__(self, path: str | Path, vocabulary: Sequence[str]):
        words = _import("flashlight.lib.text.dictionary", "flashlight-text").Dictionary()
        for word in dict.fromkeys((*vocabulary, "<unk>")):
            words.add_entry(word)
        words.set_default_index(words.get_index("<unk>"))
        kenlm = _import("flashlight.lib.text.decoder.kenlm", "flashlight-text")
        try:
            self._model = kenlm.KenLM(str(path), words)
        except RuntimeError as error:
            raise DecodingError(f"`{path}` must be readable by KenLM, but is not: {error}") from error
        self._words = words
        self._known = frozenset(vocabulary)

    def start(self) -> Hashable:
        """The state at the beginning of a sentence."""
        return self._model.start(False)  # type: ignore[no-any-return]

    def score(self, state: Any, token: str) -> tuple[float, Hashable]:
        """ln P(token | state), and the state after the token."""
        after, score = self._model.score(state, self._words.get_index(token))
        return float(score) * LN_10, after

    def end(self, state: Any) -> float:
        """ln P(the sentence ends | state)."""
        return float(self._model.finish(state)[1]) * LN_10

    def knows(self, token: str) -> bool:
        """Whether the token was named when the model was read (the file may still not have it)."""
        return token in self._known


def _import(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise DecodingError(
            f"`backend` must be installed, but {package} is not; take `noisewise`, which needs nothing, or install it"
        ) from error
