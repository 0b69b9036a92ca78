"""Random draws that depend on names only: the same numbers on any machine, for any worker count, after any
resume."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Draws:
    """A stream of draws keyed by names, such as `Draws(seed, epoch, utterance_id)`.

    The key is sha256("seed|epoch|id"), the generator is Philox. Only its raw 64-bit words are used: numpy
    keeps these the same in every version, which it does not promise for `Generator.integers` and its kin.

    Example:
        >>> draws = Draws(0, "utterance")
        >>> draws.below(100), draws.below(100)
        (66, 87)
    """

    def __init__(self, *names: object) -> None:
        digest = hashlib.sha256("|".join(str(name) for name in names).encode(errors="surrogatepass")).digest()
        self._words = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        return low + (high - low) * ((int(self._words.random_raw()) >> 11) * 2.0**-53)

    def below(self, count: int) -> int:
        """A whole number in [0, count)."""
        return (int(self._words.random_raw()) * count) >> 64

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def chance(self, probability: float) -> bool:
        """True with a probability; one number is drawn in any case, so that later draws do not move."""
        return self.uniform() < probability

    def uniforms(self, count: int) -> NDArray[np.float64]:
        """`count` numbers in [0, 1)."""
        words: NDArray[np.uint64] = self._words.random_raw(count)
        return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def permutation(self, count: int) -> NDArray[np.int64]:
        """The numbers 0 .. count - 1 in random order."""
        return np.argsort(self.uniforms(count), kind="stable").astype(np.int64)
