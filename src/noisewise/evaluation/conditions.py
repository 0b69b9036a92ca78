"""Test conditions: clean, a noise type at a signal-to-noise ratio, a degradation at a level; and means over them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from noisewise.audio.degrade import KNOWN

TYPE_A = ("traffic", "metro", "car")
"""Stationary noise (Wav2code, Tables I and II)."""
TYPE_B = ("babble", "airport_station", "ac_vacuum", "cafe")
"""Non-stationary noise."""


@dataclass(frozen=True)
class Condition:
    """What is done to a recording before a system processes it.

    Example:
        >>> in_noise("traffic", 5).key, Condition().key
        ('traffic@5', 'clean')
    """

    kind: Literal["clean", "noise", "degradation", "speech_free"] = "clean"
    """`clean` for nothing, `noise` for added noise, `degradation` for a room, a codec, clipping and their like,
    `speech_free` for noise without speech."""
    name: str = "clean"
    """Noise type or degradation; `clean` for neither."""
    value: float | None = None
    """Signal-to-noise ratio, or level of the degradation; none for clean."""
    unit: str = ""
    """Unit of the value."""

    @property
    def key(self) -> str:
        """`clean`, or name and value, as in `traffic@5` and `clip@12`."""
        return self.name if self.value is None else f"{self.name}@{self.value:g}"


CLEAN = Condition()


def in_noise(noise_type: str, snr_db: float) -> Condition:
    """Noise of a type at a signal-to-noise ratio in dB."""
    return Condition("noise", noise_type, float(snr_db), "dB")


def degraded_by(degradation: str, level: float) -> Condition:
    """A degradation at a level in its unit, see `noisewise.audio.degrade.KNOWN`."""
    known = KNOWN.get(degradation)
    return Condition("degradation", degradation, float(level), known.unit if known else "")


def in_order(types: Iterable[str]) -> list[str]:
    """Noise types without repetition: types A, types B, then the others by name."""
    known = [*TYPE_A, *TYPE_B]
    return sorted(set(types), key=lambda kind: (known.index(kind) if kind in known else len(known), kind))


def noise_types(conditions: Iterable[Condition]) -> list[str]:
    """Noise types of conditions, in the order of `in_order`."""
    return in_order(one.name for one in conditions if one.kind == "noise")


def degradations(conditions: Iterable[Condition]) -> list[str]:
    """Degradations of conditions, in the order in which they come."""
    return list(dict.fromkeys(one.name for one in conditions if one.kind == "degradation"))


def snrs_db(conditions: Iterable[Condition]) -> list[float]:
    """Signal-to-noise ratios of conditions, from the lowest."""
    return sorted({one.value for one in conditions if one.kind == "noise" and one.value is not None})


def averaged(conditions: Sequence[Condition]) -> dict[str, list[Condition]]:
    """Name of each mean over conditions to its conditions.

    `type_a`, `type_b` and `all`; the same with `_above_0_db`; `all@5` for each ratio; each noise type and each
    degradation. `all` is over the seven named types, or over all types when none of them is there. Degradations have
    no common mean, for their levels have different units.
    """
    noisy = [one for one in conditions if one.kind == "noise"]
    types = noise_types(noisy)
    named = [kind for kind in types if kind in (*TYPE_A, *TYPE_B)] or types
    groups = {
        name: [one for one in noisy if one.name in members]
        for name, members in (("type_a", TYPE_A), ("type_b", TYPE_B), ("all", named))
    }
    above = {f"{name}_above_0_db": [one for one in group if (one.value or 0) > 0] for name, group in groups.items()}
    by_snr = {f"all@{snr:g}": [one for one in groups["all"] if one.value == snr] for snr in snrs_db(noisy)}
    by_name = {name: [one for one in conditions if one.name == name] for name in (*types, *degradations(conditions))}
    return {name: group for name, group in {**groups, **above, **by_snr, **by_name}.items() if group}
