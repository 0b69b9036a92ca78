"""Waveform in, transcript out: inference with a released model over files, arrays and hours of audio.

Legend: B windows of a batch, E width of what the attention decoder attends to.
"""

from __future__ import annotations  # so that help() shows the names of types

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

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
from noisewise.decoding.whisper.decode import WhisperSearch
from noisewise.errors import AlignmentError, AudioError, NoisewiseError, Reason
from noisewise.files import sha256_of
from noisewise.inference import language_model, whisper
from noisewise.inference.decoding_options import with_options
from noisewise.inference.silence import outputs_without_silence
from noisewise.inference.sources import ChannelChoice, Input, Source, as_input, by_channel, is_one
from noisewise.inference.transcriber import Times
from noisewise.inference.transcript import Alternative, Transcript, moved, overall_confidence, without_doubtful
from noisewise.inference.windowing import (
    BATCH_SECONDS,
    Recording,
    WindowedRunner,
    must_be_device,
    padded,
)
from noisewise.models.encoder_decoder import EncoderDecoder, Steps
from noisewise.models.whisper.whisper import Whisper

__all__ = ["Recogniser", "Source", "Transcript", "load"]

WINDOW_SECONDS = 30.0
"""Length of windows in seconds, of models that state none."""
OVERLAP_SECONDS = 4.0
"""Overlap of neighbouring windows in seconds; a quarter of a window at most."""


def load(
    model: str | Path = "box",
    device: str = "cpu",
    *,
    decoding: DecodingConfig | Greedy | None = None,
    beam: int | None = None,
    nbest: int | None = None,
    lm: str | Path | None = None,
    lm_unit: Literal["words", "characters"] | None = None,
    lm_weight: float | None = None,
    bonus: float | None = None,
    lexicon: str | Path | None = None,
    hotwords: Hotwords = (),
) -> Recogniser:
    """Read a recogniser.

    Options of decoding that are left out are those of the model's decoding.json, or else decoding is greedy.

    Args:
        model: a model folder, or `box` for the model that comes with the package.
        device: where it runs, for instance `cpu`, `cuda`, `mps`.
        decoding: configuration of a search, or `greedy`; the options below change it.
        beam: hypotheses that the search keeps.
        nbest: hypotheses for each recording, the further ones as `Transcript.alternatives`.
        lm: language model: ARPA file, or folder of a Transformer.
        lm_unit: unit of an ARPA file.
        lm_weight: weight of the language model.
        bonus: word insertion bonus.
        lexicon: file of the words that may be output, one a line.
        hotwords: words or phrases that are made likelier, perhaps with boosts of their own.

    Raises:
        ModelError: the folder cannot be used.
        NoisewiseError: there is no such device, language model or lexicon.

    Example:
        >>> import noisewise
        >>> recogniser = noisewise.load()
        >>> recogniser.transcribe("enter_six_two_four.flac").text
        'ENTER SIX TWO FOUR'
        >>> searching = noisewise.load(beam=8, nbest=2)
        >>> len(searching.transcribe("enter_six_two_four.flac").alternatives)
        1
    """
    options: dict[str, Any] = {"beam": beam, "nbest": nbest, "lm": lm, "lm_unit": lm_unit}
    options |= {"lm_weight": lm_weight, "bonus": bonus, "lexicon": lexicon}
    return Recogniser.load(model, device, decoding, hotwords=hotwords, **options)


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
    reason: Reason | None = None
    """The reason of that error in one word."""
    frames: Tensor | None = None
    """Frames of the encoder that an attention decoder attends to; None if there is none. (F, E)"""
    truncated: bool = False
    """Whether the end of the recording is missing, which `error` says; there are frames of what is there."""
    channel: int | None = None
    """Number of the channel, from 1; None for all of them as one."""

    @property
    def has_failed(self) -> bool:
        """Whether there are no frames."""
        return self.error is not None and not self.truncated


class Recogniser:
    """A loaded model with its tokenizer and its decoding, ready to transcribe.

    Use `load` to make one.
    """

    def __init__(
        self,
        loaded: LoadedRecogniser,
        device: str = "cpu",
        decoding: DecodingConfig | Greedy | None = None,
        hotwords: Hotwords = (),
        **options: Any,
    ):
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.pieces = loaded.pieces
        """The tokenizer of the decoder of a Whisper; None of any other model."""
        self.folder = loaded.folder
        self.device = device
        chosen = decoding or saved_config.read(loaded.folder)
        if chosen is None and isinstance(loaded.model, EncoderDecoder):
            chosen = DecodingConfig(attention=JointConfig())
        if isinstance(loaded.model, Whisper):
            chosen = whisper.suited(chosen)
        self.decoding: DecodingConfig | Greedy = with_options(chosen or "greedy", **options)
        self.hotwords = hotwords
        self._decoders = {str(self.decoding): self._made_decoder(self.decoding)}
        longest = whisper.window_seconds(loaded.model) if isinstance(loaded.model, Whisper) else WINDOW_SECONDS
        self.window_seconds = float(loaded.about.get("window_seconds", longest))
        self.lead_seconds = float(loaded.about.get("lead_seconds", 0.0))
        self.trail_seconds = float(loaded.about.get("trail_seconds", 0.0))
        self.least_confidence = float(loaded.about.get("least_confidence", 0.0))
        """Stretches of words of less mean confidence are no speech; 0 keeps all (`transcript.without_doubtful`)."""

    @property
    def times(self) -> Times:
        """What it can tell the times of: words."""
        return "words"

    @property
    def identity(self) -> str:
        """SHA-256 of the files of its folder."""
        return sha256_of(self.folder)

    @classmethod
    def load(
        cls,
        model: str | Path = "box",
        device: str = "cpu",
        decoding: DecodingConfig | Greedy | None = None,
        *,
        hotwords: Hotwords = (),
        **options: Any,
    ) -> Recogniser:
        """Read a model folder.

        Args:
            model: a folder, or `box` for the model that comes with the package.
            device: where it runs, for instance `cpu`, `cuda`, `mps`.
            decoding: configuration of a search, or `greedy`; decoding.json of the folder if left out, or else greedy
                (for an encoder-decoder, attention and CTC together).
            hotwords: those of `transcribe` where it is given none.
            options: further options of decoding by name, as `noisewise.load` takes them.

        Raises:
            ModelError: the folder cannot be used.
            NoisewiseError: there is no such device, language model or lexicon.
        """
        must_be_device(device)
        return cls(model_folder.load(model, device), device, decoding, hotwords, **options)

    @overload
    def transcribe(
        self, sources: str | Path | bytes | BinaryIO | NDArray[Any] | Tensor | tuple[Any, int], **options: Any
    ) -> Transcript: ...
    @overload
    def transcribe(self, sources: Sequence[Source], **options: Any) -> list[Transcript]: ...
    def transcribe(  # type: ignore[misc]  # the options of the overloads are those below
        self,
        sources: Source | Sequence[Source],
        *,
        sample_rate: int = SAMPLE_RATE,
        errors: Literal["raise", "keep"] | None = None,
        strict: bool = False,
        hotwords: Hotwords | None = None,
        beam: int | None = None,
        nbest: int | None = None,
        lm: str | Path | None = None,
        lm_weight: float | None = None,
        bonus: float | None = None,
        lexicon: str | Path | None = None,
        batch_seconds: float = BATCH_SECONDS,
        window_seconds: float | None = None,
        overlap_seconds: float | None = None,
    ) -> Transcript | list[Transcript]:
        """Transcribe recordings: one gives a `Transcript`, several give a list in the order of the sources.

        A recording whose end is missing is transcribed as far as it goes: `Transcript.truncated` is set, `error` says
        what is missing, and so does a warning. The channels of a file are mixed; `transcribe_channels` keeps them.

        Args:
            sources: one or several of: a path; the bytes of a file; an open binary file; samples of one channel (T,)
                as array, tensor or list of floats in -1..1, or as array of int16, int32 or uint8, which is scaled;
                samples with their rate, `(samples, 8000)`.
            sample_rate: of samples that come without their rate; they are resampled. Files tell their own.
            errors: what becomes of a recording that cannot be used: `raise`, or `keep` a transcript whose `error` says
                what is wrong. Left out: `raise` for one source, and `keep` for several, so that one does not stop the
                others.
            strict: whether a recording whose end is missing counts as one that cannot be used.
            hotwords: words or phrases that are made likelier, perhaps with boosts of their own; those of `load` if left
                out.
            beam: hypotheses that the search keeps; like the options below, that of `load` if left out.
            nbest: hypotheses for each recording.
            lm: language model.
            lm_weight: its weight.
            bonus: word insertion bonus.
            lexicon: file of the words that may be output.
            batch_seconds: audio that goes through the model at once, padding included.
            window_seconds: longer recordings are cut into windows of this length; that of the model if left out.
            overlap_seconds: audio that two neighbouring windows share; 4 s, or a quarter of shorter windows.

        Raises:
            AudioError: a recording cannot be used, and `errors` is `raise`.
            NoisewiseError: an option that cannot be met.

        Example:
            >>> recogniser = Recogniser.load("box")
            >>> one = recogniser.transcribe("enter_six_two_four.flac", hotwords=["enter"])
            >>> one.text
            'ENTER SIX TWO FOUR'
            >>> [(word.text, round(word.start, 1), round(word.end, 1)) for word in one.words[:2]]
            [('ENTER', 0.2, 0.7), ('SIX', 0.8, 1.0)]
            >>> good, bad = recogniser.transcribe(["enter_six_two_four.flac", "missing.wav"])
            >>> good.text, bad.text, bad.error is not None
            ('ENTER SIX TWO FOUR', '', True)
        """
        single = is_one(sources)
        many: list[Any] = [sources] if single else list(sources)  # type: ignore[arg-type]
        if errors not in (None, "raise", "keep"):
            raise NoisewiseError(f"`errors` must be raise or keep, but is '{errors}' instead; leave it out")
        found = self.each(
            [as_input(source, number, sample_rate) for number, source in enumerate(many, start=1)],
            strict=strict,
            hotwords=hotwords,
            options={
                "beam": beam,
                "nbest": nbest,
                "lm": lm,
                "lm_weight": lm_weight,
                "bonus": bonus,
                "lexicon": lexicon,
            },
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        )
        done = _checked(found, (errors or ("raise" if single else "keep")) == "raise")
        return done[0] if single else [done[position] for position in range(len(many))]

    def transcribe_channels(
        self, source: Source, channels: ChannelChoice = "split", *, sample_rate: int = SAMPLE_RATE, **options: Any
    ) -> list[Transcript]:
        """Transcribe the channels of one recording apart, such as the two sides of a call.

        Args:
            source: a recording with channels: a file, its bytes, or an open file.
            channels: `split` for all, numbers from 1 for some, `auto` to split where they differ like two speakers and
                mix them elsewhere, as `noisewise transcribe` does; `mix`.
            sample_rate: as in `transcribe`.
            options: as in `transcribe`.

        Returns:
            A transcript for each channel, which `Transcript.channel` names.

        Raises:
            AudioError: as `transcribe`; or the recording lacks a channel.
        """
        options.setdefault("errors", "raise")
        return self.transcribe(by_channel(as_input(source, 1, sample_rate), channels), **options)  # type: ignore[arg-type]

    def recognise(self, waveforms: Sequence[NDArray[Any]], hotwords: Hotwords | None = None) -> list[str]:
        """Texts of waveforms (T,) at 16 kHz; `hotwords` as in `transcribe`.

        Raises:
            AudioError: a waveform is empty, too short, silent or not finite.
        """
        return [each.text for each in self.transcribe(list(waveforms), hotwords=hotwords, errors="raise")]

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
        sources: Sequence[Source | Input],
        *,
        strict: bool = False,
        hotwords: Hotwords | None = None,
        options: Mapping[str, Any] | None = None,
        batch_seconds: float = BATCH_SECONDS,
        window_seconds: float | None = None,
        overlap_seconds: float | None = None,
    ) -> Iterator[tuple[int, Transcript]]:
        """Transcribe recordings, short ones first; see `transcribe`, which takes `options` by name.

        Yields:
            Position among the sources, and transcript, each as soon as it is ready; a search decodes several together.
        """
        inputs = [as_input(source, number) for number, source in enumerate(sources, start=1)]
        search = self._search(options or {}, self.hotwords if hotwords is None else hotwords)
        if isinstance(search, WhisperSearch):
            for recording in self._runner_at_pauses(search, strict, batch_seconds, window_seconds).each(inputs):
                yield recording.position, moved(self._written(recording, search), inputs[recording.position].start)
            return
        found = self.posteriors(
            inputs,
            strict=strict,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        )
        alone = ([item] for item in found)
        for items in alone if search is None else batches_of(found, lambda item: len(item[1].log_probs)):
            for position, transcript in self._transcripts(items, search):
                yield position, moved(transcript, inputs[position].start)

    def align(
        self,
        pairs: Sequence[tuple[Source | Input, str]],
        *,
        unknown: Unknown = "error",
        strict: bool = False,
        batch_seconds: float = BATCH_SECONDS,
        window_seconds: float | None = None,
        overlap_seconds: float | None = None,
    ) -> Iterator[tuple[int, Transcript]]:
        """Find when each word and letter of known texts was spoken; see `noisewise.decoding.alignment.align.align`.

        A recording that cannot be used, or that its text does not fit, is a transcript with an `error`.

        Args:
            pairs: recordings, each with its text.
            unknown: what becomes of words that the alphabet cannot spell: an error, or stars.
            strict: as in `transcribe`.
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
        inputs = [as_input(source, number) for number, (source, _) in enumerate(pairs, start=1)]
        for position, posteriors in self.posteriors(
            inputs,
            strict=strict,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        ):
            yield position, moved(self._aligned(posteriors, pairs[position][1], unknown), inputs[position].start)

    def posteriors(
        self,
        sources: Sequence[Source | Input],
        *,
        strict: bool = False,
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
            strict=strict,
        )
        for recording in runner.each(sources):
            yield recording.position, self._posteriors(recording)

    def _posteriors(self, recording: Recording[Stitcher]) -> Posteriors:
        """The outputs for a recording, its windows joined."""
        name, error, channel = recording.name, recording.error, recording.channel
        if error is not None and not recording.truncated:
            nothing = torch.empty(0, len(self.tokenizer))
            return Posteriors(name, nothing, error=error, reason=recording.reason, channel=channel)
        log_probs, frames = recording.outputs.result().tensor_split((len(self.tokenizer),), dim=1)
        kept = frames if self._attends else None
        reason, truncated = recording.reason, recording.truncated
        return Posteriors(name, log_probs, recording.seconds, error, reason, kept, truncated, channel)

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

    def _runner_at_pauses(
        self, search: WhisperSearch, strict: bool, batch_seconds: float, window_seconds: float | None
    ) -> WindowedRunner[whisper.WindowTexts]:
        """Runs a Whisper, decoder and all, over windows that end in pauses."""
        model = self.model
        assert isinstance(model, Whisper)
        size, _ = self._window(window_seconds, 0.0)
        return WindowedRunner(
            lambda windows: whisper.texts(model, search, self.device, windows),
            lambda: whisper.WindowTexts(model.hop),
            size=min(size, model.longest),
            step=size,
            hop=model.hop,
            batch_seconds=batch_seconds,
            least=round(model.config.pad_seconds * SAMPLE_RATE),
            at_pauses=True,
            strict=strict,
        )

    def _written(self, recording: Recording[whisper.WindowTexts], search: WhisperSearch) -> Transcript:
        """The transcript of a recording that a Whisper has written."""
        name, error, channel = recording.name, recording.error, recording.channel
        if error is not None and not recording.truncated:
            return Transcript(name, error=error, channel=channel, reason=recording.reason)
        empty = torch.empty(0, len(self.tokenizer))
        about = Posteriors(
            name, empty, recording.seconds, error, recording.reason, truncated=recording.truncated, channel=channel
        )
        return _transcript(about, recording.outputs.result(search.config.nbest), self.least_confidence)

    def _made_decoder(self, config: DecodingConfig | Greedy) -> RecordingDecoder | whisper.WhisperDecoding:
        if isinstance(self.model, Whisper):
            assert self.pieces is not None
            return whisper.WhisperDecoding(self.model, self.pieces, self.tokenizer, whisper.suited(config))
        begin = self.begin if isinstance(self.model, EncoderDecoder) else None
        return RecordingDecoder(self.tokenizer, config, partial(language_model.load, device=self.device), begin)

    def _search(self, options: Mapping[str, Any], hotwords: Hotwords) -> Search | WhisperSearch | None:
        """The search of a request; the last one that differs from that of `load` is kept, with its language model."""
        config = with_options(self.decoding, **options)
        decoder = self._decoders.get(str(config))
        if decoder is None:
            own = str(self.decoding)
            decoder = self._made_decoder(config)
            self._decoders = {own: self._decoders[own], str(config): decoder}
        return decoder.search(hotwords)

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
        usable = [each for _, each in items if not each.has_failed]
        log_probs, frames = (
            [each.log_probs for each in usable],
            [each.frames for each in usable if each.frames is not None],
        )
        found = iter(nbest(log_probs, self.tokenizer, self._frame_seconds, search, frames))
        for position, each in items:
            if each.has_failed:
                yield position, Transcript(each.source, error=each.error, reason=each.reason, channel=each.channel)
                continue
            yield position, _transcript(each, next(found), self.least_confidence)

    def _aligned(self, posteriors: Posteriors, text: str, unknown: Unknown) -> Transcript:
        """Align a text with a recording."""
        if posteriors.has_failed:
            return Transcript(
                posteriors.source, error=posteriors.error, reason=posteriors.reason, channel=posteriors.channel
            )
        try:
            words = align(posteriors.log_probs, text, self.tokenizer, self._frame_seconds, unknown=unknown).words
        except AlignmentError as error:
            return Transcript(posteriors.source, duration=posteriors.seconds, error=f"{posteriors.source}: {error}")
        words = widened(words, self.lead_seconds, self.trail_seconds, posteriors.seconds)
        aligned = " ".join(word.text for word in words)
        known = [word for word in words if word.characters]  # no model is sure of a star
        found = Transcript(posteriors.source, aligned, [*words], posteriors.seconds, overall_confidence(known))
        return _marked(found, posteriors)


def _transcript(posteriors: Posteriors, hypotheses: Sequence[Hypothesis], least_confidence: float) -> Transcript:
    """The best hypothesis without what is no speech, and the other texts of the n-best list."""
    best, alternatives = hypotheses[0], dict[str, Alternative]()
    words, left_out = without_doubtful(best.words, least_confidence)
    text = " ".join(word.text for word in words) if left_out else best.text
    for each in hypotheses if words or not left_out else ():
        if each.text not in (best.text, text):
            alternatives.setdefault(each.text, Alternative(each.text, each.score))
    found = Transcript(
        posteriors.source,
        text,
        words,
        posteriors.seconds,
        overall_confidence(words),
        list(alternatives.values()),
        left_out,
    )
    return _marked(found, posteriors)


def _marked(transcript: Transcript, posteriors: Posteriors) -> Transcript:
    """A transcript with its channel, and with what is missing of its recording."""
    marks: dict[str, Any] = {"channel": posteriors.channel, "truncated": posteriors.truncated}
    return replace(transcript, error=posteriors.error, reason=posteriors.reason, **marks)


def _checked(found: Iterable[tuple[int, Transcript]], raises: bool) -> dict[int, Transcript]:
    """Transcripts by position; the first that has failed is raised if asked for, and what is cut off is warned of."""
    done: dict[int, Transcript] = {}
    for position, transcript in found:
        if raises and transcript.has_failed:
            raise AudioError(str(transcript.error), transcript.reason or "not_audio", transcript.source)
        if transcript.truncated:
            warnings.warn(str(transcript.error), stacklevel=3)
        done[position] = transcript
    return done
