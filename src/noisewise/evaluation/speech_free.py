"""Hallucinated words: what a recogniser writes where nobody speaks.

Recordings of noise without speech, in pieces of `PIECE_SECONDS` at most, go through a recogniser as they are. Every
word of its hypotheses, after normalisation, is one too many:

    rate = words / minutes

summed over all recordings. A recording on which the recogniser failed has no words, and is counted among the failures.

Legend: N recordings, R resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.read import read
from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import Condition
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.grid import Grid
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.result import Rate, SpeechFree
from noisewise.evaluation.resume import Partial
from noisewise.evaluation.runner import BATCH_SECONDS, Progress, run_conditions
from noisewise.evaluation.test_set import Speech
from noisewise.evaluation.words import Recognition, TextCell
from noisewise.scoring.words import choose, interval, resample

SPEECH_FREE = Condition("speech_free", "speech-free")
"""The condition under which a recogniser is given noise alone."""
PIECE_SECONDS = 30.0
"""Longest piece of a recording that goes through a recogniser at once."""
MARK = "@"
"""Stands between the id of a recording and the beginning of a piece of it, in seconds."""


def measure(
    task: Recognition,
    config: GridConfig,
    kept: Partial[TextCell],
    *,
    batch_seconds: float = BATCH_SECONDS,
    progress: Callable[[Progress], None] | None = None,
) -> SpeechFree:
    """Count the words that a recogniser writes for the recordings of `speech_free`.

    Raises:
        EvaluationError: no recording can be used, or the recogniser failed on all.
        DataError: the manifest cannot be used.
    """
    assert config.speech_free is not None
    speech = pieces_of(config.speech_free)
    grid = Grid(speech, [SPEECH_FREE], lambda one, _: speech.waveform(one.id))
    (cell,) = run_conditions(grid, task.run, task.cell_of(speech.utterances), kept, batch_seconds=batch_seconds,
                             progress=progress)  # fmt: skip
    return summarise(speech, cell, config)


def pieces_of(manifest: str) -> Speech:
    """The recordings of a manifest in pieces, those that are broken or silent left out with the reason.

    Raises:
        EvaluationError: none can be used.
        DataError: the manifest cannot be used.
    """
    pieces = [piece for cut in read(manifest) for piece in _pieces(cut)]
    speech = Speech.of(pieces, text_of=lambda cut: "", group_of=_recording, columns=["label"])
    if not speech.utterances:
        raise EvaluationError(
            f"`{manifest}` must hold a recording that can be used, but has none: {speech.skipped[0].reason}"
        )
    return speech


def summarise(speech: Speech, cell: TextCell, config: GridConfig) -> SpeechFree:
    """Words per minute, and the share of recordings with a word, with intervals over the recordings."""
    count = choose(config.normaliser)
    names = list(dict.fromkeys(one.speaker for one in speech.utterances))
    words, seconds, types = dict.fromkeys(names, 0), dict.fromkeys(names, 0.0), dict.fromkeys(names, "")
    for one, text in zip(speech.utterances, cell.hypotheses, strict=True):
        words[one.speaker] += len(count(text).split())
        seconds[one.speaker] += one.seconds
        types[one.speaker] = one.columns.get("label", "")
    per_minute, share = _rates([*words.values()], [*seconds.values()], config)
    return SpeechFree(
        manifest=portable(config.speech_free or ""),
        recordings=len(names),
        seconds=round(sum(seconds.values()), 3),
        words_per_minute=per_minute,
        with_words=share,
        ids=names,
        types=[types[name] for name in names],
        durations=[round(seconds[name], 3) for name in names],
        words=[words[name] for name in names],
        audio_sha256=cell.mixture_sha256,
        hypotheses=dict(zip((one.id for one in speech.utterances), cell.hypotheses, strict=True)),
        failures=cell.failures,
        skipped=speech.skipped,
    )


def _rates(words: Sequence[int], seconds: Sequence[float], config: GridConfig) -> tuple[Rate, Rate]:
    counts, minutes = np.array(words, dtype=np.float64), np.array(seconds) / 60  # (N,) each
    times = resample(len(words), samples=config.bootstrap_samples, seed=config.seed)  # (R, N)
    per_minute = interval((times @ counts) / (times @ minutes))
    share = interval((times @ (counts > 0)) / len(words))
    return (
        Rate(float(counts.sum() / minutes.sum()), [per_minute.low, per_minute.high]),
        Rate(float((counts > 0).mean()), [share.low, share.high]),
    )


def _pieces(cut: Cut) -> list[Cut]:
    if cut.duration <= PIECE_SECONDS or cut.needs_lhotse:
        return [cut]
    whole = cut.duration if cut.recording_seconds is None else cut.recording_seconds
    count = int(np.ceil(cut.duration / PIECE_SECONDS))
    each = cut.duration / count
    return [
        replace(cut, id=f"{cut.id}{MARK}{place * each:g}", start=cut.start + place * each, duration=each,
                recording_seconds=whole)
        for place in range(count)
    ]  # fmt: skip


def _recording(cut: Cut) -> str:
    """The id of the recording of a piece, which is the whole of it where it is short."""
    name, mark, start = cut.id.rpartition(MARK)
    return name if mark and start.replace(".", "", 1).isdigit() else cut.id
