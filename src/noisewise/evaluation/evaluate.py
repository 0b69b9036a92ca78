"""Measure a recogniser or a tagger on a test set: clean, in noise, under degradations."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial as bound
from pathlib import Path
from typing import Any, Protocol, TypeVar

from noisewise.errors import EvaluationError
from noisewise.evaluation import speech_free
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.grid import Grid
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.resume import CellT, Partial
from noisewise.evaluation.runner import BATCH_SECONDS, Outputs, Progress, run_conditions
from noisewise.evaluation.summary import check_unit
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Recognise, Waveform, named_recogniser
from noisewise.evaluation.systems.taggers import NamedTagger
from noisewise.evaluation.tags import Tagging
from noisewise.evaluation.test_set import Speech, Utterance
from noisewise.evaluation.words import Recognition, TextCell

OutputT = TypeVar("OutputT")


class Task(Protocol[OutputT, CellT]):
    """What differs between words and tags."""

    @property
    def system(self) -> NamedRecogniser | NamedTagger:
        """What is measured."""

    @property
    def cell_type(self) -> type[CellT]:
        """Class of what is kept of a condition."""

    def read(self, config: GridConfig, /) -> Speech:
        """The test set, checked."""

    def run(self, waveforms: list[Waveform], /) -> list[OutputT | Failure]:
        """One output for each waveform."""

    def cell(self, items: Sequence[Utterance], outputs: Outputs[OutputT], /) -> CellT:
        """What is kept of a condition."""

    def summarise(self, items: Sequence[Utterance], cells: Sequence[CellT], config: GridConfig, /) -> GridResult:
        """Scores of all conditions."""


def evaluate(
    system: NamedRecogniser | NamedTagger | Recognise,
    config: GridConfig,
    *,
    batch_seconds: float = BATCH_SECONDS,
    partial: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    timed: Callable[[Sequence[Utterance], Sequence[TextCell]], object] | None = None,
) -> GridResult:
    """Measure a recogniser or a tagger on a grid.

    Args:
        system: from `systems.loading.load` or `systems.taggers.load`, or any function from waveforms to texts.
        config: test set, noise or degradations, seed, bootstrap.
        batch_seconds: audio given to the system at a time, in seconds.
        partial: file that keeps finished conditions; a run that finds it goes on from there.
        progress: called after each batch.
        timed: called with the utterances and their hypotheses under each condition, whose words have times then, such
            as `noisewise.evaluation.sclite.write_ctm`.

    Raises:
        EvaluationError: no utterance or clip is left; the system failed on all of a condition; the partial results
            belong to another run; the bootstrap unit is unknown; no reference has a word.
        DataError: a manifest cannot be used, or lacks a noise type.
        AudioError: a degradation or level does not exist, or a codec is missing.

    Example:
        >>> from noisewise.evaluation.config import GridConfig
        >>> def transcribe(waveforms):
        ...     return ["HELLO" for waveform in waveforms]
        >>> config = GridConfig(manifest="corpora/an4#split=test", noise="corpora/noise", snrs_db=[0, 10])
        >>> evaluate(transcribe, config).clean.wer  # doctest: +SKIP
        1.0
    """
    if isinstance(system, NamedTagger):
        if config.nll or config.speech_free is not None or timed is not None:
            raise EvaluationError("`nll`, `speech_free` and times must come with a recogniser, but this is a tagger")
        return _evaluate(Tagging(system), config, batch_seconds, partial, progress)[0]
    task = Recognition(named_recogniser(system), word_times=timed is not None)
    if task.word_times:
        _must_tell_words(task.system)
    if config.nll and task.system.likelihoods is None:
        raise EvaluationError(
            f"`nll` must come with a model of this project, but `{task.system.name}` gives no likelihoods; leave it out"
        )
    result, kept = _evaluate(task, config, batch_seconds, partial, progress, timed)
    if config.speech_free is None:
        return result
    found = speech_free.measure(task, config, kept, batch_seconds=batch_seconds, progress=progress)
    use = task.system.cache_use
    return replace(result, speech_free=found, cache=result.cache if use is None else use())


def _evaluate(
    task: Task[OutputT, CellT],
    config: GridConfig,
    batch_seconds: float,
    partial: Path | None,
    progress: Callable[[Progress], None] | None,
    timed: Callable[[Sequence[Utterance], Sequence[CellT]], object] | None = None,
) -> tuple[GridResult, Partial[CellT]]:
    """The result of a task, and its finished conditions."""
    speech = task.read(config)
    check_unit(speech.utterances, config)
    grid = Grid.build(config, speech)
    name, details = portable(task.system.name), task.system.details
    identity = _identity(config, grid, name, details)
    if timed is not None:
        identity["word_times"] = True
    use = getattr(task.system, "cache_use", None)
    if use is not None:  # what was measured with a cache is not finished without a word of it
        identity["cache"] = use().file
    kept = Partial(partial, identity, task.cell_type, len(speech.utterances))
    cell = bound(task.cell, speech.utterances)
    likelihoods = getattr(task.system, "likelihoods", None) if config.nll else None
    cells = run_conditions(
        grid, task.run, cell, kept, likelihoods=likelihoods, batch_seconds=batch_seconds, progress=progress
    )
    if timed is not None:
        timed(speech.utterances, cells)
    result = task.summarise(speech.utterances, cells, config)
    cache = None if use is None else use()
    return replace(result, system=name, system_details=details, cache=cache, skipped=speech.skipped), kept


def _must_tell_words(system: NamedRecogniser) -> None:
    """Refuse, before hours of recognition, a recogniser that cannot say when words were spoken."""
    if system.with_times is None or system.times != "words":
        given = "those of segments alone" if system.times == "segments" else "none"
        raise EvaluationError(
            f"times of words (--ctm) must come from a recogniser that tells them, but `{system.name}` gives {given}; "
            "take a model of this project, whisper: or onnx:, or leave them out"
        )
    if system.cache_use is not None:
        raise EvaluationError("--ctm must come without --cache, whose transcripts have no times, but both are given")


def _identity(config: GridConfig, grid: Grid, name: str, details: dict[str, str]) -> dict[str, Any]:
    """What makes conditions of two runs comparable; more conditions may be added to a run."""
    same = config.portable()
    asked: dict[str, Any] = {"nll": True} if config.nll else {}
    asked |= {key: value for key in ("suite", "rir") if (value := getattr(same, key))}
    asked |= {} if same.speech_free is None else {"speech_free": same.speech_free}
    return {
        **asked,
        **{key: getattr(same, key) for key in ("manifest", "noise", "label_column", "seed")},
        "system": name,
        "system_details": details,
        "utterances": grid.sha256,
    }
