"""A synthetic noise: babble, the sum of several people speaking at once.

Clip `i` of a seed depends on (seed, i) and on the speech manifest alone.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from noisewise.audio import waveform
from noisewise.audio.mix import SILENCE_RMS, Waveform, rms
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.corpora.preparation import Part, Preparation, Rejected, fingerprint
from noisewise.data.manifests.cuts import Cut, column, load_audio
from noisewise.data.manifests.read import read
from noisewise.data.manifests.table import cut_of
from noisewise.data.random_streams import Draws
from noisewise.errors import AudioError, DataError

JITTER_DB = 6.0
"""Each voice is up to this much louder or softer than the average: some speakers stand nearer."""
LEVEL_DB = -26.0
"""RMS of a clip relative to full scale."""
PEAK = 0.98


def prepare(
    speech: str | Path,
    output: Path,
    *,
    clips: int,
    seconds: float,
    voices: tuple[int, int],
    seed: int,
    report: Callable[[int, int], None] | None = None,
) -> list[Part]:
    """Write babble clips into `output`: `flac/*.flac` and `cuts.jsonl.gz`, all with the label `babble`.

    Args:
        speech: manifest of the voices; each file counts as a speaker of its own when there is no `speaker`.
        output: folder to make.
        clips: how many.
        seconds: length of each.
        voices: fewest and most speakers in a clip.
        seed: seed of every choice.
        report: called with (finished, all).

    Raises:
        DataError: fewer speakers than voices, or sizes that make no sense.
    """
    if not (1 <= voices[0] <= voices[1] and clips > 0 and seconds > 0):
        raise DataError(
            f"`voices` must be LOW HIGH with 1 <= LOW <= HIGH, and `clips` and `seconds` positive, "
            f"but are {voices}, {clips}, {seconds}"
        )
    speakers = _speakers(list(read(speech)))
    if len(speakers) < voices[1]:
        raise DataError(f"`{speech}` must have at least {voices[1]} speakers, but has {len(speakers)}; lower `voices`")
    names = fingerprint([[name, [cut.id for cut in cuts]] for name, cuts in speakers.items()])
    facts = {"seed": seed, "seconds": seconds, "voices": list(voices), "speech": names}
    preparation = Preparation(output, "babble", facts)
    (output / "flac").mkdir(exist_ok=True)

    def make() -> list[Cut | Rejected]:
        cuts, rejected = [], dict[str, Rejected]()
        for index in range(clips):
            path = f"flac/{seed}-{index:05d}.flac"
            if not (output / path).is_file():
                samples = babble(speakers, round(seconds * SAMPLE_RATE), voices, Draws(seed, index, "babble"), rejected)
                waveform.save(output / path, samples, subtype="PCM_16")
            cuts.append(cut_of({"path": path, "label": "babble"}, output))
            if report is not None:
                report(index + 1, clips)
        return [*cuts, *rejected.values()]

    return [preparation.part("", fingerprint(clips), make)]


def babble(
    speakers: dict[str, list[Cut]],
    samples: int,
    voices: tuple[int, int],
    draws: Draws,
    rejected: dict[str, Rejected],
) -> Waveform:
    """Sum different speakers, (samples,); files that cannot be read are put into `rejected` by path."""
    names = sorted(speakers)
    count = voices[0] + draws.below(voices[1] - voices[0] + 1)
    total = np.zeros(samples)
    for place in draws.permutation(len(names))[:count]:
        voice = _voice(speakers[names[place]], samples, draws, rejected)
        level = rms(voice)
        if level > SILENCE_RMS:
            total += voice * (10 ** (draws.uniform(-JITTER_DB, JITTER_DB) / 20) / level)
    if rms(total) == 0:
        raise DataError(f"speakers must have usable speech, but none of {count} has; check the manifest")
    total *= 10 ** (LEVEL_DB / 20) / rms(total)
    return (total * min(1.0, PEAK / float(np.abs(total).max()))).astype(np.float32)


def _voice(cuts: list[Cut], samples: int, draws: Draws, rejected: dict[str, Rejected]) -> Waveform:
    """One speaker talking without end: utterances in random order, begun somewhere inside the first."""
    parts: list[Waveform] = []
    held = 0
    for place in draws.permutation(len(cuts)):
        cut = cuts[place]
        try:
            parts.append(load_audio(cut))
        except AudioError as error:
            rejected[error.path] = Rejected(error.path, error.reason, str(error))
            continue
        held += len(parts[-1])
        if held >= 2 * samples:
            break
    if not parts:
        return np.zeros(samples, dtype=np.float32)
    speech = np.concatenate(parts)
    return np.take(speech, draws.below(len(speech)) + np.arange(samples), mode="wrap")


def _speakers(cuts: list[Cut]) -> dict[str, list[Cut]]:
    speakers: dict[str, list[Cut]] = {}
    for cut in sorted(cuts, key=lambda cut: str(cut.id)):
        speakers.setdefault(column(cut, "speaker") or cut.id, []).append(cut)
    return speakers
