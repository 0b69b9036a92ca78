"""Transcripts as targets of CTC, before the first step: which teach nothing, and what the normaliser removes."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.loading.dataset import DataConfig, Encode
from noisewise.data.manifests.cuts import text_of
from noisewise.data.manifests.read import read_many
from noisewise.errors import DataError
from noisewise.text.normalise import Normaliser, said


@dataclass
class Targets:
    """What a look at the transcripts of a training set has found."""

    utterances: int = 0
    """Number of recordings of a fit length."""
    without_text: list[str] = field(default_factory=list)
    """Ids of recordings without a transcript, or whose transcript has no word that the normaliser leaves."""
    too_long: list[str] = field(default_factory=list)
    """Ids of recordings that have fewer frames than their transcript needs."""
    lost: Counter[str] = field(default_factory=Counter)
    """Characters that are spoken and yet removed, and tags."""
    example: str = ""
    """The first transcript that has no word which the normaliser leaves."""

    def refuse_nothing(self, normaliser: str) -> None:
        """Refuse a training set from which nothing can be learned.

        Raises:
            DataError: no recording has a transcript that can be aligned with it.
        """
        if not self.utterances or len(self.without_text) + len(self.too_long) < self.utterances:
            return
        if not self.too_long:
            has = (
                f"have none under the normaliser {normaliser}, as in {self.example!r}" if self.example else "have none"
            )
            remedy = "choose another `tokenizer.normaliser`, such as unicode" if self.example else "add a column `text`"
            raise DataError(f"`train.manifests` must have transcripts, but all {self.utterances} {has}; {remedy}")
        raise DataError(
            f"`train.manifests` must have a recording that is long enough for its transcript, but of {self.utterances} "
            f"{len(self.too_long)} are too short, such as '{self.too_long[0]}'"
            + (f", and {len(self.without_text)} have no transcript" if self.without_text else "")
            + "; are these the texts of these recordings?"
        )

    def lines(self, normaliser: str) -> list[str]:
        """What is said of it, one sentence each; nothing where all is well."""
        found = []
        if self.without_text:
            example = f", such as '{self.without_text[0]}'" + (f" ({self.example!r})" if self.example else "")
            found.append(
                f"{len(self.without_text)} of {self.utterances} recordings have no transcript{example}: left out"
            )
        if self.too_long:
            found.append(
                f"{len(self.too_long)} of {self.utterances} transcripts are too long for their recordings, such as "
                f"that of '{self.too_long[0]}': CTC needs a frame for each token, so they teach nothing"
            )
        if self.lost:
            found.append(f"removed from the transcripts by the normaliser {normaliser}: {said(self.lost)}")
        return found


def look(config: DataConfig, encode: Encode, normaliser: Normaliser, hop: int) -> Targets:
    """Look at all transcripts of a training set; no audio is read.

    Args:
        config: the training set.
        encode: a normalised transcript to token ids.
        normaliser: form of the transcripts.
        hop: samples at 16 kHz between two frames of the model.

    Raises:
        DataError: a manifest cannot be read.
    """
    found = Targets()
    for cut in read_many(config.manifests):
        if not config.min_seconds <= cut.duration <= config.max_seconds:
            continue
        found.utterances += 1
        raw = text_of(cut) or ""
        text = normaliser(raw)
        found.lost.update(normaliser.lost(raw))
        if not text:
            found.without_text.append(cut.id)
            found.example = found.example or raw[:80]
        elif cut.duration * SAMPLE_RATE // hop < frames_needed(encode(text)):
            found.too_long.append(cut.id)
    return found


def frames_needed(ids: list[int]) -> int:
    """The shortest CTC path of tokens: a frame for each, and a blank between equal neighbours.

    Graves et al., "Connectionist temporal classification", ICML 2006, Sec. 3.1.
    """
    return len(ids) + sum(left == right for left, right in pairwise(ids))
