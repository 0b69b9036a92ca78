"""Suites of corruptions: `srb`, the axes of Speech Robust Bench, and `srb-lite`, those that need no recordings.

`srb` takes noise and impulse responses of the user where the benchmark takes corpora: `noise` by its labels (`music`,
`speech` or `crosstalk`, all others as noise of the environment) and `rir`, in four bins of reverberation time between
the least and the greatest of the responses. Left out are its axes that need other recordings or models: real rooms by
SRMR, voice conversion, accents, social recordings, adversarial noise.

Legend: T samples, R taps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from noisewise.audio.corruptions import CORRUPTIONS, RESPONSE_BEGIN, SNRS_DB, in_room
from noisewise.audio.rooms import reverberation_time
from noisewise.data.manifests.read import load_audio, read
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.data.random_streams import Draws
from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import Condition, degraded_by
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.degradations import degraded
from noisewise.evaluation.systems.protocol import Waveform

LITE = (
    "srb_gnoise", "srb_pink", "srb_room", "srb_echo", "srb_resample", "srb_gain", "srb_lowpass", "srb_highpass",
    "srb_speedup", "srb_slowdown", "srb_pitch_up", "srb_pitch_down",
)  # fmt: skip
"""Corruptions of `srb-lite`."""
FULL = tuple(name for name in CORRUPTIONS if name not in ("srb_pink", "srb_room"))
"""Corruptions of `srb` that need no recordings."""
NOISES = {"music": "srb_music", "speech": "srb_crosstalk", "crosstalk": "srb_crosstalk"}
"""Label of noise to its axis; `srb_env_noise` for all others."""
BINS = 4
"""Bins of reverberation time, severities 1 to 4."""


@dataclass(frozen=True)
class Suite:
    """The conditions of a suite, and what they do."""

    config: GridConfig
    conditions: list[Condition]
    """Every corruption at each of its severities, without clean."""
    pool: NoisePool | None = None
    by_axis: dict[str, list[str]] = field(default_factory=dict)
    """Axis of noise to its labels."""
    responses: list[list[Waveform]] = field(default_factory=list)
    """Impulse responses of each bin of reverberation time. (R,) each"""

    @classmethod
    def of(cls, config: GridConfig) -> "Suite":
        """The suite that a configuration names, with its recordings.

        Raises:
            EvaluationError: no impulse response can be used.
            DataError: a manifest cannot be used.
        """
        lite = config.suite == "srb-lite"
        conditions = [
            degraded_by(name, level) for name in (LITE if lite else FULL) for level in CORRUPTIONS[name].levels
        ]
        pool, by_axis = None, dict[str, list[str]]()
        if config.noise is not None:
            pool = NoisePool.load(NoiseConfig(manifest=config.noise, types=list(config.types) or None), config.seed)
            for label in pool.types:
                by_axis.setdefault(NOISES.get(label, "srb_env_noise"), []).append(label)
            conditions += [Condition("degradation", name, snr, "dB") for name in by_axis for snr in SNRS_DB]
        responses = [] if config.rir is None else binned([load_audio(cut) for cut in read(config.rir)])
        conditions += [
            Condition("degradation", "srb_rir", float(severity), "of 4")
            for severity, found in enumerate(responses, start=1)
            if found
        ]
        return cls(config, conditions, pool, by_axis, responses)

    def changed(self, utterance_id: str, condition: Condition, clean: Waveform) -> Waveform:
        """An utterance under a condition; what is drawn depends on (seed, corruption, id) alone. (T,) -> (T',)"""
        draws = Draws(self.config.seed, condition.name, utterance_id)
        level = condition.value or 0.0
        if self.pool is not None and condition.name in self.by_axis:
            return self.pool.at(utterance_id, draws.choice(self.by_axis[condition.name]), level, clean)[0]
        if condition.name == "srb_rir":
            return in_room(clean, draws.choice(self.responses[int(level) - 1]))
        return degraded(utterance_id, condition.name, level, clean, self.config.seed)

    @property
    def mixture(self) -> Callable[[str, Condition, Waveform], Waveform]:
        """`changed`, as a grid takes it."""
        return self.changed


def binned(responses: Sequence[Waveform]) -> list[list[Waveform]]:
    """Impulse responses without their first 10 ms, in `BINS` equal bins of reverberation time; some may be empty.

    Raises:
        EvaluationError: none is left.
    """
    kept = [one for one in responses if np.any(one[RESPONSE_BEGIN:])]
    if not kept:
        raise EvaluationError("`rir` must hold impulse responses longer than 10 ms, but holds none")
    times = np.array([reverberation_time(one) for one in kept])
    edges = np.linspace(times.min(), times.max(), BINS + 1)
    places = np.clip(np.searchsorted(edges, times, side="left") - 1, 0, BINS - 1)
    return [[one[RESPONSE_BEGIN:] for one, place in zip(kept, places, strict=True) if place == number]
            for number in range(BINS)]  # fmt: skip
