"""Label the recordings of a manifest: transcripts of recognisers where they can be relied on, as a manifest.

Each entry that is kept has its transcript as text, and says by whom it was transcribed and how surely (`labelled`).
What is left out is listed, with its transcripts and the reasons.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noisewise import __version__
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.corpora.preparation import write_cuts, write_rejected
from noisewise.data.manifests import lhotse_format
from noisewise.data.manifests.cuts import Cut, load_audio, path_of
from noisewise.data.manifests.read import read
from noisewise.errors import AudioError, ConfigError, DataError, lacks_memory
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Waveform
from noisewise.labelling.criteria import Criteria, judged
from noisewise.labelling.transcription import CachedRecogniser, Transcription

SUFFIX = ".jsonl.gz"
AT_A_TIME = 16
"""Recordings given to a recogniser before their transcripts are written: the most that a kill can lose."""


@dataclass
class Labels:
    """What was kept and what was not."""

    kept: list[Cut] = field(default_factory=list)
    """Entries with transcripts."""
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """The others: id, path, reasons, what was measured, transcripts."""
    seconds: float = 0.0
    """Length of all recordings that can be read."""

    @property
    def kept_seconds(self) -> float:
        """Length of the recordings that were kept."""
        return sum(cut.duration for cut in self.kept)

    @property
    def reasons(self) -> Counter[str]:
        """How many entries each reason left out; an entry with several counts for the first."""
        return Counter(each["reasons"][0] for each in self.rejected)


def label(
    manifest: str | Path,
    models: Sequence[NamedRecogniser],
    output: Path,
    criteria: Criteria,
    *,
    limit: int | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Labels:
    """Transcribe a manifest and write the entries that can be relied on.

    A run that was killed goes on where it stopped: transcripts are kept in `cache`, or in a hidden file beside the
    output that is removed in the end.

    Args:
        manifest: as `noisewise.data.manifests.read.read` takes it; texts that are there are not looked at.
        models: the recogniser whose transcripts are kept, and a second one to agree with.
        output: manifest to write, ending in `.jsonl.gz`; it appears whole. What is left out is beside it, in
            `NAME.rejected.jsonl`.
        criteria: what is kept.
        limit: take this many entries, evenly spaced.
        cache: file of transcripts to read and to add to; with it other criteria can be tried at once.
        progress: called with (done, all).

    Raises:
        ConfigError: the criteria do not fit the models, or the output is no name of a manifest.
        DataError: the manifest cannot be read, or nothing can be kept.
    """
    _check(models, output, criteria)
    cuts = _spaced(read(manifest), limit)
    state = cache or output.with_name(f".{output.name}.transcripts.jsonl")
    recognisers = [CachedRecogniser(named, state) for named in models]
    facts = [{"model": portable(each.named.name), **each.named.details} for each in recognisers]
    labels = Labels()
    for done, (cut, seconds, found) in enumerate(_each(cuts, recognisers), start=1):
        _sort(labels, cut, seconds, found, criteria, facts)
        if progress is not None:
            progress(done, len(cuts))
    write_rejected(rejected_file(output), labels.rejected)
    if not labels.kept:
        counts = ", ".join(f"{count} {reason}" for reason, count in labels.reasons.most_common())
        raise DataError(
            f"`{manifest}` must have an entry that can be kept, but has none ({counts}); see "
            f"`{rejected_file(output)}`, and give other bounds or another model"
        )
    write_cuts(output, labels.kept)
    if cache is None:
        state.unlink(missing_ok=True)
    return labels


def rejected_file(output: Path) -> Path:
    """Where what is left out is listed."""
    return output.with_name(f"{output.name.removesuffix(SUFFIX)}.rejected.jsonl")


def _check(models: Sequence[NamedRecogniser], output: Path, criteria: Criteria) -> None:
    if not output.name.endswith(SUFFIX):
        raise ConfigError(f"`--output` must end in {SUFFIX}, but is '{output}' instead; name a manifest")
    if not 1 <= len(models) <= 2:
        raise ConfigError(f"`models` must be one or two, but are {len(models)} instead")
    if criteria.agreement is not None and len(models) == 1:
        raise ConfigError("`--agreement` must come with a second recogniser, but there is one; give --model2")
    if criteria.agreement is None and criteria.confidence is None and criteria.log_probability is None:
        raise ConfigError(
            "a bound must say what is kept, but there is none; give --confidence, --log-probability or --agreement"
        )


def _spaced(cuts: list[Cut], limit: int | None) -> list[Cut]:
    if limit is None or limit >= len(cuts):
        return cuts
    return [cuts[place * len(cuts) // limit] for place in range(limit)]


def _each(
    cuts: Sequence[Cut], recognisers: Sequence[CachedRecogniser]
) -> Iterator[tuple[Cut, float, list[Transcription | Failure] | AudioError]]:
    """Each cut with its length in seconds, and its transcript by every recogniser, or why it cannot be read."""
    for some in _batches(cuts):
        loaded = [_loaded(cut) for cut in some]
        waveforms = [each for each in loaded if not isinstance(each, AudioError)]
        found = zip(*(recogniser.transcribe(waveforms) for recogniser in recognisers), strict=True)
        for cut, each in zip(some, loaded, strict=True):
            if isinstance(each, AudioError):
                yield cut, cut.duration, each
            else:
                yield cut, len(each) / SAMPLE_RATE, list(next(found))


def _batches(cuts: Sequence[Cut]) -> Iterator[Sequence[Cut]]:
    yield from (cuts[start : start + AT_A_TIME] for start in range(0, len(cuts), AT_A_TIME))


def _loaded(cut: Cut) -> Waveform | AudioError:
    try:
        return load_audio(cut)
    except AudioError as error:
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        return error


def _sort(
    labels: Labels,
    cut: Cut,
    seconds: float,
    found: list[Transcription | Failure] | AudioError,
    criteria: Criteria,
    facts: list[dict[str, str]],
) -> None:
    """Put an entry among those that are kept, or those that are not."""
    entry: dict[str, Any] = {"id": cut.id, "path": path_of(cut)}
    if isinstance(found, AudioError):
        labels.rejected.append({**entry, "reasons": ["audio"], "message": str(found)})
        return
    labels.seconds += seconds
    judgement = judged(found, seconds, criteria)
    first = found[0]
    text = "" if isinstance(first, Failure) else first.text
    if judgement.reasons:
        labels.rejected.append({**entry, "reasons": judgement.reasons, "text": text, **judgement.scores})
    else:
        about = {"by": facts, "noisewise": __version__, **judgement.scores}
        labels.kept.append(labelled(cut, text, about))


def labelled(cut: Cut, text: str, about: dict[str, Any]) -> Cut:
    """A cut with a transcript in the place of its own, and where it comes from in the column `labelled`."""
    values = lhotse_format.dump(cut)
    spoken = {
        "id": cut.id,
        "recording_id": values["recording"]["id"],
        "start": 0.0,
        "duration": cut.duration,
        "channel": values["channel"],
        "text": text,
    }
    values["supervisions"] = [{**spoken, **({"speaker": cut.speaker} if cut.speaker is not None else {})}]
    values["custom"] = {**(values.get("custom") or {}), "labelled": about}
    return lhotse_format.parse(values)
