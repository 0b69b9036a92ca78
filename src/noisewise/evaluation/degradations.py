"""Degradations beyond noise: levels as they are written on the command line, and degraded utterances.

What is drawn depends on the seed, the degradation and the utterance id alone, so every system is given the same.

Legend: T samples.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from noisewise.audio.degrade import CODECS, DEGRADATIONS, KNOWN, degrade
from noisewise.data.random_streams import Draws
from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import Condition, degraded_by
from noisewise.evaluation.systems.protocol import Waveform


def degraded(utterance_id: str, degradation: str, level: float, clean: Waveform, seed: int) -> Waveform:
    """An utterance (T,) at a level of a degradation, with what is drawn from (seed, degradation, id)."""
    return degrade(degradation, clean, level, lambda count: Draws(seed, degradation, utterance_id).uniforms(count))


def parse_levels(words: Iterable[str]) -> dict[str, list[float]]:
    """`["reverb", "clip=6,12", "codec"]` to levels; `all` is all there are, `codec` all codecs.

    Example:
        >>> parse_levels(["clip=6,12", "mulaw"])
        {'clip': [6.0, 12.0], 'mulaw': [8.0]}

    Raises:
        EvaluationError: levels are no numbers, or there is nothing to do.
        AudioError: there is no such degradation or level.
    """
    found: dict[str, list[float]] = {}
    for word in words:
        name, equals, numbers = word.partition("=")
        if equals:
            found[name.strip()] = _numbers(word, numbers)
            continue
        for one in filter(None, (part.strip() for part in word.split(","))):
            for kind in {"all": tuple(DEGRADATIONS), "codec": CODECS}.get(one, (one,)):
                found.setdefault(kind, [*map(float, KNOWN[kind].levels)] if kind in KNOWN else [0.0])
    if not found:
        raise EvaluationError(f"degradations must be some of {', '.join(DEGRADATIONS)}, but there are none")
    checked_conditions(found)
    return found


def _numbers(word: str, numbers: str) -> list[float]:
    try:
        found = list(dict.fromkeys(float(number) for number in numbers.split(",")))
    except ValueError as error:
        raise EvaluationError(f"`{word}` must be NAME=LEVEL,LEVEL..., but: {error}") from error
    return found


def checked_conditions(levels: Mapping[str, Sequence[float]]) -> list[Condition]:
    """Every degradation at each of its levels, after a try on a little noise, so that errors come before hours of work.

    Raises:
        AudioError: there is no such degradation or level, or libsndfile lacks the codec.
    """
    conditions = [degraded_by(name, level) for name, chosen in levels.items() for level in chosen]
    sound = (0.1 * (Draws("degradations").uniforms(4000) - 0.5)).astype(np.float32)
    for condition in conditions:
        degraded("try", condition.name, condition.value or 0.0, sound, 0)
    return conditions
