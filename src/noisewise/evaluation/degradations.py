"""Degradations beyond noise: one recogniser, each degradation at each of its levels, and clean speech.

The result has the form of a noise grid whose `axis` is `level`: `noise_type` names the degradation and `snr_db` holds
its level, in the unit of `noisewise.audio.degrade.DEGRADATIONS`. What is drawn depends on the seed, the degradation
and the utterance id alone: every recogniser hears the same, as the hash in each cell shows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from noisewise.audio.degrade import CODECS, DEGRADATIONS, degrade
from noisewise.data.random_streams import Draws
from noisewise.errors import EvaluationError
from noisewise.evaluation.noise_grid import hear_texts, named_recogniser
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.resume import Condition, HeardCell, Partial
from noisewise.evaluation.runner import BATCH_SECONDS, Progress, Trial
from noisewise.evaluation.summary import check, summarise
from noisewise.evaluation.systems.protocol import NamedRecogniser, Recognise, Waveform
from noisewise.evaluation.test_set import Speech, Utterance

Levels = Mapping[str, Sequence[float]]
"""Degradation to levels."""


def evaluate_degraded(
    manifest: str,
    recogniser: NamedRecogniser | Recognise,
    levels: Levels,
    *,
    seed: int = 0,
    limit: int | None = None,
    bootstrap_unit: str = "utterance",
    bootstrap_samples: int = 1000,
    batch_seconds: float = BATCH_SECONDS,
    partial: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> GridResult:
    """Measure a recogniser on degraded speech; the arguments are those of `grid.evaluate`.

    Args:
        manifest: speech with texts.
        recogniser: waveforms in, texts out.
        levels: degradation to levels, as `parse_levels` gives them.
        seed: of what is drawn, and of the bootstrap.
        limit: take this many utterances, evenly spaced over the manifest.
        bootstrap_unit: `utterance` or `speaker`.
        bootstrap_samples: number of resamples.
        batch_seconds: audio given to the recogniser at a time.
        partial: file that keeps finished cells.
        progress: called after each batch.

    Raises:
        AudioError: a degradation or level does not exist, or a codec is not there.
        EvaluationError: no utterance is left, or the recogniser failed on every utterance of a cell.
    """
    conditions = conditions_of(levels)
    named = named_recogniser(recogniser)
    speech = Speech.read(manifest, limit)
    check(speech.utterances, bootstrap_unit)
    trial = degrading(manifest, speech, conditions, seed)
    about = trial.about(named.name, named.details)
    heard = hear_texts(trial, named, Partial(partial, trial.identity(about), HeardCell), batch_seconds, progress)
    result = summarise(
        speech.utterances,
        heard,
        bootstrap_unit=bootstrap_unit,
        bootstrap_samples=bootstrap_samples,
        seed=seed,
    )
    averages = {kind: result.averages[kind] for kind in levels}  # a mean over levels of different units is none
    return result.described(**about, axis="level", noise_types=list(levels), averages=averages, skipped=speech.skipped)


def degrading(manifest: str, speech: Speech, conditions: list[Condition], seed: int) -> Trial:
    """Speech, clean and degraded."""

    def mixture(one: Utterance, condition: Condition) -> Waveform:
        clean = speech.waveform(one.id)
        if condition.noise_type is None or condition.snr_db is None:
            return clean
        return degraded(one.id, condition.noise_type, condition.snr_db, clean, seed)

    return Trial(manifest, None, speech, conditions, mixture, seed, "level")


def degraded(utterance_id: str, kind: str, level: float, clean: Waveform, seed: int) -> Waveform:
    """An utterance (T,) at a level of a degradation, with what is drawn from (seed, kind, id)."""
    return degrade(kind, clean, level, lambda count: Draws(seed, kind, utterance_id).uniforms(count))


def parse_levels(words: Iterable[str]) -> dict[str, list[float]]:
    """`["reverb", "clip=6,12", "codec"]` to levels; `all` is all there are, `codec` all codecs.

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
                found.setdefault(kind, list(DEGRADATIONS[kind].levels) if kind in DEGRADATIONS else [0.0])
    if not found:
        raise EvaluationError(f"degradations must be some of {', '.join(DEGRADATIONS)}, but there are none")
    conditions_of(found)
    return found


def _numbers(word: str, numbers: str) -> list[float]:
    try:
        found = list(dict.fromkeys(float(number) for number in numbers.split(",")))
    except ValueError as error:
        raise EvaluationError(f"`{word}` must be NAME=LEVEL,LEVEL..., but: {error}") from error
    return found


def conditions_of(levels: Levels) -> list[Condition]:
    """Clean, and all of them, after a try on a little noise: what cannot be done is said before hours of recognition.

    Raises:
        AudioError: there is no such degradation or level.
    """
    conditions = [Condition(kind, float(level)) for kind, chosen in levels.items() for level in chosen]
    sound = (0.1 * (Draws("degradations").uniforms(4000) - 0.5)).astype(np.float32)
    for condition in conditions:
        degraded("try", condition.noise_type or "", condition.snr_db or 0.0, sound, 0)
    return [Condition(), *conditions]
