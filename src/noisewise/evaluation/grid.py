"""A grid: a test set, its conditions, and the input of a system for each utterance under each condition.

Mixtures come from `NoisePool.at` and `degradations.degraded`, which depend on the manifest of noise, the seed, the
utterance id and the condition, and on nothing else: every system is given the same ones, as the hash in each row shows.

Legend: T samples.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import CLEAN, Condition, in_noise, in_order
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.degradations import checked_conditions, degraded
from noisewise.evaluation.suites import Suite
from noisewise.evaluation.systems.protocol import Waveform
from noisewise.evaluation.test_set import Speech, Utterance


@dataclass(frozen=True)
class Grid:
    """A test set and the conditions under which systems process it."""

    speech: Speech
    conditions: list[Condition]
    """The conditions, clean first."""
    mixture: Callable[[Utterance, Condition], Waveform]
    """Input of a system for an utterance under a condition, (T,)."""

    @classmethod
    def build(cls, config: GridConfig, speech: Speech) -> "Grid":
        """The grid of a configuration.

        Raises:
            EvaluationError: a signal-to-noise ratio is not finite, or there is none.
            DataError: the noise cannot be used, or lacks a type.
            AudioError: a degradation or level does not exist, or a codec is missing.
        """
        if config.suite:
            suite = Suite.of(config)
            return cls(speech, [CLEAN, *suite.conditions], _mixture(
                speech, lambda one, condition, clean: suite.changed(one.id, condition, clean)
            ))  # fmt: skip
        if config.levels:
            conditions = [CLEAN, *checked_conditions(config.levels)]
            return cls(speech, conditions, _mixture(speech, lambda one, condition, clean: degraded(
                one.id, condition.name, condition.value or 0.0, clean, config.seed
            )))  # fmt: skip
        if config.noise is None:
            return cls(speech, [CLEAN], lambda one, _: speech.waveform(one.id))
        pool = NoisePool.load(NoiseConfig(manifest=config.noise, types=list(config.types) or None), config.seed)
        conditions = [CLEAN, *(in_noise(kind, snr) for kind in in_order(pool.types) for snr in _snrs(config))]
        return cls(speech, conditions, _mixture(speech, lambda one, condition, clean: pool.at(
            one.id, condition.name, condition.value or 0.0, clean
        )[0]))  # fmt: skip

    @property
    def sha256(self) -> str:
        """Hash of the ids of the utterances."""
        names = "\n".join(one.id for one in self.speech.utterances)
        return hashlib.sha256(names.encode(errors="surrogatepass")).hexdigest()  # names of files may be no UTF-8


def _mixture(
    speech: Speech, changed: Callable[[Utterance, Condition, Waveform], Waveform]
) -> Callable[[Utterance, Condition], Waveform]:
    """Utterances as they are when clean, else changed."""

    def mixture(one: Utterance, condition: Condition) -> Waveform:
        clean = speech.waveform(one.id)
        return clean if condition == CLEAN else changed(one, condition, clean)

    return mixture


def _snrs(config: GridConfig) -> list[float]:
    if not config.snrs_db or not all(math.isfinite(snr) for snr in config.snrs_db):
        raise EvaluationError(f"`snrs_db` must be finite ratios, at least one, but is {list(config.snrs_db)} instead")
    return sorted({float(snr) for snr in config.snrs_db})
