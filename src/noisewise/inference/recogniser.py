"""Waveform in, transcript out: inference with a released model over files, arrays and hours of audio.

Legend: B windows of a batch, E width of what the attention decoder attends to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.checkpoints import model_folder
from noisewise.checkpoints.model_folder import LoadedRecogniser
from noisewise.config import above
from noisewise.decoding import saved_config
from noisewise.decoding.alignment.align import Unknown, align, widened
from noisewise.decoding.attention.joint import JointConfig
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.decoding.recording_decoder import Greedy, Hotwords, RecordingDecoder, Search, batches_of, nbest
from noisewise.decoding.stitch import Stitcher
from noisewise.errors import AlignmentError, AudioError, NoisewiseError
from noisewise.inference import language_model
from noisewise.inference.silence import outputs_without_silence
from noisewise.inference.transcript import Alternative, Transcript, overall_confidence, without_doubtful
from noisewise.inference.windowing import (
    BATCH_SECONDS,
    Recording,
    Source,
    WindowedRunner,
    must_be_device,
    padded,
)
from noisewise.models.encoder_decoder import EncoderDecoder, Steps

__all__ = ["Recogniser", "Source", "Transcript", "load"]

WINDOW_SECONDS = 30.0
"""Length of windows in seconds, of models that state none."""
OVERLAP_SECONDS = 4.0
"""Overlap of neighbouring windows in seconds; a quarter of a window at most."""


def load(model: str | Path = "box", device: str = "cpu") -> "Recogniser":
    """Read a recogniser.

    Args:
        model: a model folder, or `box` for the model that comes with the package.
        device: where it runs, for instance `cpu`, `cuda`, `mps`.

    Raises:
        ModelError: the folder cannot be used.
        NoisewiseError: there is no such device.

    Example:
        >>> import noisewise
        >>> recogniser = noisewise.load()
        >>> recogniser.transcribe("enter_six_two_four.flac")[0].text
        'ENTER SIX TWO FOUR'
    """
    return Recogniser.load(model, device)


@dataclass(frozen=True)
class Posteriors:
    """Output of the model for one whole recording, before decoding."""

    source: str
    """Path of the recording, or `waveform N` for the N-th array of a call."""
    log_probs: Tensor
    """Log-probabilities of the tokens, windows joined; no frames if there is an error. (F, V)"""
    seconds: float = 0.0
    """Seconds of audio."""
    error: str | None = None
    """A sentence that says what is wrong with the recording; None if nothing is."""
    frames: Tensor | None = None
    """Frames of the encoder that an attention decoder attends to; None if there is none. (F, E)"""


class Recogniser:
    """A loaded model with its tokenizer and its decoding, ready to transcribe.

    Use `load` to make one.
    """

    def __init__(self, loaded: LoadedRecogniser, device: str = "cpu", decoding: DecodingConfig | Greedy | None = None):
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.folder = loaded.folder
        self.device = device
        chosen = decoding or saved_config.read(loaded.folder)
        if chosen is None and isinstance(loaded.model, EncoderDecoder):
            chosen = DecodingConfig(attention=JointConfig())
        self.decoding: DecodingConfig | Greedy = chosen or "greedy"
        begin = self.begin if isinstance(loaded.model, EncoderDecoder) else None
        self._decoder = RecordingDecoder(
            loaded.tokenizer, self.decoding, partial(language_model.load, device=device), begin
        )
        self.window_seconds = float(loaded.about.get("window_seconds", WINDOW_SECONDS))
        self.lead_seconds = float(loaded.about.get("lead_seconds", 0.0))
        self.trail_seconds = float(loaded.about.get("trail_seconds", 0.0))
        self.least_confidence = float(loaded.about.get("least_confidence", 0.0))
        """Stretches of words of less mean confidence are no speech; 0 keeps all (`transcript.without_doubtful`)."""

    @classmethod
    def load(
        cls, model: str | Path = "box", device: str = "cpu", decoding: DecodingConfig | Greedy | None = None
    ) -> "Recogniser":
        """Read a model folder.

        Args:
            model: a folder, or `box` for the model that comes with the package.
            device: where it runs, for instance `cpu`, `cuda`, `mps`.
            decoding: configuration of a search, or `greedy`; decoding.json of the folder if left out, or else greedy
                (for an encoder-decoder, attention and CTC together).

        Raises:
            ModelError: the folder cannot be used.
            NoisewiseError: there is no such device, language model or lexicon.
        """
        must_be_device(device)
        return cls(model_folder.load(model, device), device, decoding)

    def transcribe(
        self,
        sources: Source | Sequence[Source],
        *,
        batch_seconds: float = BATCH_SECONDS,
        window_seconds: float | None = None,
        overlap_seconds: float | None = None,
        hotwords: Hotwords = (),
    ) -> list[Transcript]:
        """Transcribe recordings; the results stand in the order of the sources.

        A recording that cannot be used does not stop the others: its `Transcript.error` says what is wrong.

        Args:
            sources: files, or mono waveforms at 16 kHz (T,); one or several.
            batch_seconds: audio that goes through the model at once, padding included.
            window_seconds: longer recordings are cut into windows of this length; that of the model if left out.
            overlap_seconds: audio that two neighbouring windows share; 4 s, or a quarter of shorter windows.
            hotwords: words or phrases that are made likelier, perhaps with boosts of their own.

        Example:
            >>> recogniser = Recogniser.load("box")
            >>> good, bad = recogniser.transcribe(["enter_six_two_four.flac", "missing.wav"])
            >>> good.text
            'ENTER SIX TWO FOUR'
            >>> [(word.text, round(word.start, 1), round(word.end, 1)) for word in good.words[:2]]
            [('ENTER', 0.2, 0.7), ('SIX', 0.8, 1.0)]
            >>> bad.text, bad.error is not None
            ('', True)
        """
        sources = [sources] if isinstance(sources, str | Path | np.ndarray) else list(sources)
        done = dict(
            self.each(
                sources,
                batch_seconds=batch_seconds,
                window_seconds=window_seconds,
                overlap_seconds=overlap_seconds,
                hotwords=hotwords,
            )
        )
        return [done[position] for position in range(len(sources))]

    def recognise(self, waveforms: Sequence[NDArray[Any]], hotwords: Hotwords = ()) -> list[str]:
        """Texts of waveforms (T,) at 16 kHz; `hotwords` as in `transcribe`.

        Raises:
            AudioError: a waveform is empty, too short, silent or not finite.
        """
        transcripts = self.transcribe(waveforms, hotwords=hotwords)
        for transcript in transcripts:
            if transcript.error is not None:
                raise AudioError(transcript.error, path=transcript.source)
        return [transcript.text for transcript in transcripts]

    @torch.inference_mode()
    def log_probs(self, waveforms: Sequence[NDArray[Any]]) -> list[Tensor]:
        """Log-probabilities of the tokens, one batch; long silence is blank, and the model is not given it.

        (T,) each -> (F, V) each, on the CPU
        """
        return outputs_without_silence(waveforms, self._model_log_probs, self.model.hop, self.tokenizer)

    @torch.inference_mode()
    def _log_probs_and_frames(self, waveforms: Sequence[NDArray[Any]]) -> list[Tensor]:
        """The same with the frames of the encoder behind them. (T,) each -> (F, V + E) each, on the CPU"""
        return outputs_without_silence(waveforms, self._model_log_probs_and_frames, self.model.hop, self.tokenizer)

    def _model_log_probs(self, waveforms: Sequence[NDArray[Any]]) -> list[Tensor]:
        """Outputs of the model. (T,) each -> (F, V) each, on the CPU"""
        log_probs, frames = self.model.log_probs(*padded(waveforms, self.device))
        return [each[:count].cpu() for each, count in zip(log_probs, frames.tolist(), strict=True)]

    def _model_log_probs_and_frames(self, waveforms: Sequence[NDArray[Any]]) -> list[Tensor]:
        """Outputs of the model and frames of its encoder. (T,) each -> (F, V + E) each, on the CPU"""
        assert isinstance(self.model, EncoderDecoder)
        output = self.model.encode(*padded(waveforms, self.device))
        both = torch.cat((self.model.recognise(output), output.features.float()), dim=2).cpu()
        return [each[:count] for each, count in zip(both, output.lengths.tolist(), strict=True)]

    def each(
        self,
        sources: Sequence[Source],
        *,
        batch_seconds: float = BATCH_SECONDS,
        window_seconds: float | None = None,
        overlap_seconds: float | None = None,
        hotwords: Hotwords = (),
    ) -> Iterator[tuple[int, Transcript]]:
        """Transcribe recordings, short ones first; see `transcribe`.

        Yields:
            Position among the sources, and transcript, each as soon as it is ready; a search decodes several together.
        """
        found = self.posteriors(
            sources, batch_seconds=batch_seconds, window_seconds=window_seconds, overlap_seconds=overlap_seconds
        )
        search = self._decoder.search(hotwords)
        alone = ([item] for item in found)
        for items in alone if search is None else batches_of(found, lambda item: len(item[1].log_probs)):
            yield from self._transcripts(items, search)

    def align(
        self,
        pairs: Sequence[tuple[Source, str]],
        *,
        unknown: Unknown = "error",
        batch_seconds: float = BATCH_SECONDS,
        window_seconds: float | None = None,
        overlap_seconds: float | None = None,
    ) -> Iterator[tuple[int, Transcript]]:
        """Find when each word and letter of known texts was spoken; see `noisewise.decoding.alignment.align.align`.

        A recording that cannot be used, or that its text does not fit, is a transcript with an `error`.

        Args:
            pairs: recordings, each with its text.
            unknown: what becomes of words that the alphabet cannot spell: an error, or stars.
            batch_seconds: as in `transcribe`, like the others.
            window_seconds: see there.
            overlap_seconds: see there.

        Yields:
            Position among the pairs, and a transcript whose words are `AlignedWord`s, each as soon as it is ready.

        Example:
            >>> recogniser = Recogniser.load("box")
            >>> ((_, aligned),) = recogniser.align([("enter_six_two_four.flac", "enter six two four")])
            >>> [word.text for word in aligned.words]
            ['enter', 'six', 'two', 'four']
            >>> [letter.text for letter in aligned.words[1].characters]
            ['S', 'I', 'X']
        """
        for position, posteriors in self.posteriors(
            [source for source, _ in pairs],
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        ):
            yield position, self._aligned(posteriors, pairs[position][1], unknown)

    def posteriors(
        self,
        sources: Sequence[Source],
        *,
        batch_seconds: float = BATCH_SECONDS,
        window_seconds: float | None = None,
        overlap_seconds: float | None = None,
    ) -> Iterator[tuple[int, Posteriors]]:
        """Run the model over recordings, short ones first, long ones in windows; see `transcribe`.

        Yields:
            Position among the sources, and posteriors, each as soon as they are complete.
        """
        size, step = self._window(window_seconds, overlap_seconds)
        runner = WindowedRunner(
            self._log_probs_and_frames if self._attends else self.log_probs,
            lambda: Stitcher(self.tokenizer.blank),
            size=size,
            step=step,
            hop=self.model.hop,
            batch_seconds=batch_seconds,
        )
        for recording in runner.each(sources):
            yield recording.position, self._posteriors(recording)

    def _posteriors(self, recording: Recording[Stitcher]) -> Posteriors:
        """The outputs for a recording, its windows joined."""
        if recording.error is not None:
            return Posteriors(recording.name, torch.empty(0, len(self.tokenizer)), error=recording.error)
        log_probs, frames = recording.outputs.result().tensor_split((len(self.tokenizer),), dim=1)
        return Posteriors(recording.name, log_probs, recording.seconds, frames=frames if self._attends else None)

    def _window(self, window_seconds: float | None, overlap_seconds: float | None) -> tuple[int, int]:
        """Samples of a window, and from one window to the next; whole frames."""
        seconds = self.window_seconds if window_seconds is None else window_seconds
        overlap = min(OVERLAP_SECONDS, seconds / 4) if overlap_seconds is None else overlap_seconds
        above(0, window_seconds=seconds)
        if not 0 <= overlap <= seconds / 2:
            raise NoisewiseError(
                f"`overlap_seconds` must be 0 to {seconds / 2:g} (half a window), but is {overlap:g} instead"
            )
        hop = self.model.hop
        size = max(1, round(seconds * SAMPLE_RATE / hop)) * hop
        return size, size - round(overlap * SAMPLE_RATE / hop) * hop

    @property
    def _frame_seconds(self) -> float:
        return self.model.hop / SAMPLE_RATE

    @property
    def _attends(self) -> bool:
        """Whether an attention decoder takes part."""
        return not isinstance(self.decoding, str) and self.decoding.attention is not None

    def begin(self, frames: Tensor, lengths: Tensor) -> Steps:
        """The attention decoder before its first token. (B, F, E), (B,)"""
        assert isinstance(self.model, EncoderDecoder)
        return self.model.steps(frames.to(self.device), lengths.to(self.device))

    def _transcripts(
        self, items: list[tuple[int, Posteriors]], search: Search | None
    ) -> Iterator[tuple[int, Transcript]]:
        """Decode recordings whose windows have all been through the model."""
        usable = [each for _, each in items if each.error is None]
        log_probs, frames = (
            [each.log_probs for each in usable],
            [each.frames for each in usable if each.frames is not None],
        )
        found = iter(nbest(log_probs, self.tokenizer, self._frame_seconds, search, frames))
        for position, each in items:
            if each.error is not None:
                yield position, Transcript(each.source, error=each.error)
                continue
            yield position, _transcript(each, next(found), self.least_confidence)

    def _aligned(self, posteriors: Posteriors, text: str, unknown: Unknown) -> Transcript:
        """Align a text with a recording."""
        if posteriors.error is not None:
            return Transcript(posteriors.source, error=posteriors.error)
        try:
            words = align(posteriors.log_probs, text, self.tokenizer, self._frame_seconds, unknown=unknown).words
        except AlignmentError as error:
            return Transcript(posteriors.source, duration=posteriors.seconds, error=f"{posteriors.source}: {error}")
        words = widened(words, self.lead_seconds, self.trail_seconds, posteriors.seconds)
        aligned = " ".join(word.text for word in words)
        known = [word for word in words if word.characters]  # no model is sure of a star
        return Transcript(posteriors.source, aligned, [*words], posteriors.seconds, overall_confidence(known))


def _transcript(posteriors: Posteriors, hypotheses: Sequence[Hypothesis], least_confidence: float) -> Transcript:
    """The best hypothesis without what is no speech, and the other texts of the n-best list."""
    best, alternatives = hypotheses[0], dict[str, Alternative]()
    words, left_out = without_doubtful(best.words, least_confidence)
    text = " ".join(word.text for word in words) if left_out else best.text
    for each in hypotheses if words or not left_out else ():
        if each.text not in (best.text, text):
            alternatives.setdefault(each.text, Alternative(each.text, each.score))
    return Transcript(
        posteriors.source,
        text,
        words,
        posteriors.seconds,
        overall_confidence(words),
        list(alternatives.values()),
        left_out,
    )
