"""Test sets: utterances with texts, or clips with labels, that can be read, and those that cannot, with the reason.

Legend: T samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from noisewise.audio.mix import SILENCE_RMS, Waveform, rms
from noisewise.audio.snr import wada_snr_db
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.manifests import read as manifests
from noisewise.errors import EvaluationError, NoisewiseError
from noisewise.evaluation.result import Skipped
from noisewise.safe_text import clean_text

if TYPE_CHECKING:
    from noisewise.data.manifests.cuts import Cut


def speaker_of(cut: "Cut") -> str | None:
    """The speaker of an entry of a manifest; None where it names none."""
    return manifests.column(cut, "speaker")


@dataclass(frozen=True)
class Utterance:
    """One utterance or clip of a test set."""

    id: str
    speaker: str
    """Speaker, or what a clip was cut from; the id when the manifest names none."""
    text: str
    """Reference: the words, or the labels with ";" between several."""
    seconds: float
    """Duration in seconds."""
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Further columns of the manifest that were asked for."""
    wada_snr_db: float | None = None
    """Signal-to-noise ratio of the recording itself by WADA, in dB; None where it was not estimated."""


@dataclass
class Speech:
    """A test set. Waveforms are read when they are needed."""

    utterances: list[Utterance] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    cuts: "dict[str, Cut]" = field(default_factory=dict)
    text_of: "Callable[[Cut], str | None]" = manifests.text_of
    group_of: "Callable[[Cut], str | None]" = speaker_of
    columns: Sequence[str] = ()

    @classmethod
    def read(
        cls,
        manifest: str,
        limit: int | None = None,
        *,
        text_of: "Callable[[Cut], str | None]" = manifests.text_of,
        group_of: "Callable[[Cut], str | None]" = speaker_of,
        columns: Sequence[str] = (),
    ) -> "Speech":
        """Read a manifest, and decode every file once to find those that cannot be used.

        Args:
            manifest: as `noisewise.data.manifests.read.read` takes it.
            limit: take this many, evenly spaced, so that a few utterances still come from many speakers.
            text_of: reference of an entry; it may raise an EvaluationError with the reason why it cannot be used.
            group_of: what utterances belong together by: their speaker.
            columns: names of columns that are kept with each utterance.

        Raises:
            EvaluationError: no utterance is left.
            DataError: the manifest cannot be used.
        """
        cuts = list(manifests.read(manifest))
        if limit is not None and limit < 1:
            raise EvaluationError(f"`limit` must be at least 1, but is {limit} instead")
        if limit is not None and limit < len(cuts):
            cuts = [cuts[index * len(cuts) // limit] for index in range(limit)]
        speech = cls.of(cuts, text_of=text_of, group_of=group_of, columns=columns)
        if not speech.utterances:
            raise EvaluationError(
                f"`{manifest}` must hold a readable utterance with a text, but has none: {speech.skipped[0].reason}"
            )
        return speech

    @classmethod
    def of(
        cls,
        cuts: "Sequence[Cut]",
        *,
        text_of: "Callable[[Cut], str | None]" = manifests.text_of,
        group_of: "Callable[[Cut], str | None]" = speaker_of,
        columns: Sequence[str] = (),
    ) -> "Speech":
        """The same of cuts; perhaps no utterance is left. Arguments as in `read`."""
        speech = cls(cuts={cut.id: cut for cut in cuts}, text_of=text_of, group_of=group_of, columns=columns)
        for name in speech.cuts:
            speech._check(name)
        return speech

    def waveform(self, name: str) -> Waveform:
        """The samples of an utterance, (T,)."""
        return manifests.load_audio(self.cuts[name])

    def _check(self, name: str) -> None:
        try:
            self.utterances.append(self._utterance(name))
        except (NoisewiseError, OSError, UnicodeError, MemoryError) as error:
            path = manifests.path_of(self.cuts[name])
            self.skipped.append(Skipped(name, str(error).replace(path, Path(path).name) or type(error).__name__))

    def _utterance(self, name: str) -> Utterance:
        text = self.text_of(self.cuts[name])
        if text is None:
            raise EvaluationError("it must have a text to compare with, but has none")
        clean = self.waveform(name)
        if rms(clean) <= SILENCE_RMS:
            raise EvaluationError(f"it must be audible, but its RMS is {rms(clean):.2g} of full scale")
        cut = self.cuts[name]
        values = {key: clean_text(value) for key in self.columns if (value := manifests.column(cut, key))}
        return Utterance(
            name, self.group_of(cut) or name, clean_text(text), len(clean) / SAMPLE_RATE, values, wada_snr_db(clean)
        )
