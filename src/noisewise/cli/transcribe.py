"""`noisewise transcribe FILES...`: audio files to text, subtitles or a table."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisewise.cli.decoding import DecodingOptions, with_decoding
from noisewise.cli.subtitles import SubtitleOptions, with_subtitles

if TYPE_CHECKING:
    from noisewise.cli.inputs import Entry
    from noisewise.cli.resume import Progress
    from noisewise.inference.sources import ChannelChoice, Input
    from noisewise.inference.tagger import Tagger
    from noisewise.inference.transcriber import Transcriber
    from noisewise.inference.transcript import Transcript

WITH_SOUNDS = ("txt", "tsv", "csv", "json")
"""Forms that have a place for sounds."""

SOUNDS, LIKELY = 3, 0.1
"""Number of sounds that are named beside the words at most, and their least probability."""

LOW_CONFIDENCE = 0.6
"""Noisy recordings of the box's development set with less had a word error rate above 50 %."""

SUFFIX_OF = {"textgrid": "TextGrid"}
"""Forms whose files end in something else."""

TOGETHER, BATCHES = 256, 4
"""Recordings that are sorted by length, to be batched: so many, or so many batches of audio."""


@with_subtitles
@with_decoding
def command(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Audio files, folders of them, manifests or tables (.tsv, .csv, .jsonl), or - for standard input."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="`box`, the folder of a model, or any recogniser that `evaluate --model` takes: whisper:tiny.en, "
            "hf:FOLDER_OR_ID, onnx:NAME, openai:URL#MODEL, command:PROGRAM {}, python:module:function."
        ),
    ] = "box",
    form: Annotated[
        str, typer.Option("--format", help="txt, json, srt, vtt, tsv, csv, ctm, rttm or textgrid.")
    ] = "txt",
    output: Annotated[
        Path | None, typer.Option(help="A file, or a folder for one file per recording; default: print.")
    ] = None,
    channels: Annotated[
        str,
        typer.Option(
            help="auto (apart where they differ like the two sides of a call, else mixed), mix, split, or numbers: 1,2."
        ),
    ] = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse recordings whose end is missing.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run with the same --output was ended.")
    ] = False,
    rate: Annotated[
        int | None, typer.Option(help="The files are samples without a header, so many a second.", show_default="none")
    ] = None,
    raw_channels: Annotated[int | None, typer.Option(help="Channels of such files.", show_default="1")] = None,
    raw_format: Annotated[
        str | None,
        typer.Option(help="Type of their samples: s16le, s16be, u8, f32le, mulaw, ...", show_default="s16le"),
    ] = None,
    batch_seconds: Annotated[float, typer.Option(help="Audio that goes through the model at once.")] = 120.0,
    window_seconds: Annotated[
        float | None, typer.Option(help="Cut longer recordings into windows of this length.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
    workers: Annotated[
        int, typer.Option(help="Recordings at the same time, for recognisers that are no noisewise models.")
    ] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds for one recording, for command: and openai:.")] = 600.0,
    least_confidence: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Leave out stretches of less mean confidence: no speech; 0 keeps all; default: the model's.",
        ),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(help="The folder of a tagger: name the sounds beside the words; txt, tsv, csv or json."),
    ] = None,
    subtitles: SubtitleOptions | None = None,
    *,
    options: DecodingOptions,
) -> None:
    """Transcribe audio files. Exit status 1 when some of them could not be used; the others are written."""
    from noisewise.cli.inputs import entries, raw_samples
    from noisewise.cli.outputs import Faults, Output, is_folder, progress_bar
    from noisewise.cli.signals import ends_by_signals
    from noisewise.errors import ConfigError
    from noisewise.inference.transcript import SINGLE, WRITERS, Document

    if form not in WRITERS:
        raise ConfigError(f"--format must be one of {', '.join(WRITERS)}, but is '{form}' instead")
    if tag is not None and form not in WITH_SOUNDS:
        raise ConfigError(f"--tag must come with --format {', '.join(WITH_SOUNDS)}, but the format is {form}")
    if resume and output is None:
        raise ConfigError("--resume must come with --output, beside which the state is kept; give --output")
    chosen, cues = channels_of(channels), (subtitles or SubtitleOptions()).chosen()
    found = entries(files, raw_samples(rate, raw_channels, raw_format))
    into_folder = is_folder(output)
    if form in SINGLE and len(found) > 1 and not into_folder:
        raise ConfigError(f"{form} holds one recording, but {len(found)} were given; give --output FOLDER")

    def document(results: Sequence["Transcript"] | None) -> Document:
        """For one recording, or for all; one alone is not named, unless its channels are apart."""
        together = results if results is not None else only
        several = len(found) > 1 and results is None if together is None else len(together) > 1
        sources = [each.input.name for each in found] if results is None else [each.source for each in results]
        return Document(form, sources, several, cues, tag is not None)

    only: Sequence[Transcript] | None = None
    faults = Faults()
    written: Output[Transcript] = Output(
        [each.name for each in found], document, output, SUFFIX_OF.get(form, form), is_shown
    )
    with ends_by_signals(), ExitStack() as stack:
        missing = [each for each in found if each.input.fault is not None]
        faults.say(_failed(each.input) for each in missing)  # before a model is loaded, which takes time
        is_idle = len(missing) == len(found)
        recogniser = None if is_idle else _recogniser(model, device, workers, timeout, options)
        tagger = None if is_idle else _tagger(tag, device)
        if recogniser is not None:
            _must_suit(recogniser, model, form, window_seconds, least_confidence)
        if recogniser is not None and least_confidence is not None:
            recogniser.least_confidence = least_confidence
        run = _Run(recogniser, tagger, chosen, batch_seconds, window_seconds, strict, options.boosts(), None)
        if output is not None and recogniser is not None:
            run.progress = stack.enter_context(_progress(output, into_folder, resume, run, options))
        advance = stack.enter_context(progress_bar(len(found), "transcribing"))
        for position, results in run.each(found):
            if found[position].input.fault is None:
                faults.say(results)
                if recogniser is not None and recogniser.least_confidence:
                    warn(results)
            only = results if len(found) == 1 else None
            if output is not None or len(found) > 1 or form not in {"txt", *SINGLE} or is_shown(results):
                written.put(position, results)
            advance()
        if output is not None or len(found) > 1 or form not in {"txt", *SINGLE} or not faults.count:
            written.finish()
    raise typer.Exit(faults.status())


def warn(transcripts: Sequence["Transcript"]) -> None:
    """Say on stderr which recordings hold no speech, and which may be wrong; one line each.

    Only for a model with a least confidence of its own: of others nobody has looked at what theirs means.
    """
    from noisewise.inference.transcript import label_of

    for each in transcripts:
        if each.left_out and not each.words:
            print(
                f"noisewise: {label_of(each)}: no speech found: its {len(each.left_out)} likeliest words are too "
                "unsure; --least-confidence 0 writes them",
                file=sys.stderr,
            )
        elif each.words and each.confidence < LOW_CONFIDENCE:
            print(
                f"noisewise: {label_of(each)}: confidence is low ({each.confidence:.2f}), so half its words may be "
                "wrong; record closer to the microphone, or use a model made for such speech",
                file=sys.stderr,
            )


def is_shown(results: Sequence["Transcript"]) -> bool:
    """Whether any of the channels of a recording was transcribed."""
    return any(not each.has_failed for each in results)


def channels_of(text: str) -> "ChannelChoice":
    """The channels that an option names.

    Raises:
        ConfigError: neither a word that is known nor numbers.
    """
    from noisewise.errors import ConfigError

    if text in ("mix", "split", "auto"):
        return text  # type: ignore[return-value]
    try:
        numbers = [int(each) for each in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1 or len({*numbers}) < len(numbers):
        raise ConfigError(f"--channels must be auto, mix, split or numbers such as 1,2, but is '{text}' instead")
    return numbers


def _failed(found: "Input") -> "Transcript":
    from noisewise.inference.transcript import Transcript

    reason = None if found.fault is None else found.fault.reason
    return Transcript(found.name, error=str(found.fault), reason=reason)


def _recogniser(model: str, device: str, workers: int, timeout: float, options: DecodingOptions) -> "Transcriber":
    """The recogniser that is asked for."""
    from noisewise.evaluation.systems.specification import kind_of

    if kind_of(model) == "model":
        from noisewise.inference.recogniser import Recogniser

        return Recogniser.load(model, device, options.chosen(model))
    from noisewise.evaluation.systems import loading
    from noisewise.evaluation.systems.transcriber import SystemTranscriber

    given = {"decoding": options.chosen(model), "hotwords": options.boosts()}
    named = loading.load(model, workers=workers, timeout_seconds=timeout, device=device, **given)  # type: ignore[arg-type]
    return SystemTranscriber(named)


def _tagger(tag: str | None, device: str) -> "Tagger | None":
    if tag is None:
        return None
    from noisewise.inference.tagger import Tagger

    return Tagger.load(tag, device)


def _must_suit(
    recogniser: "Transcriber", model: str, form: str, window_seconds: float | None, least_confidence: float | None
) -> None:
    """Refuse what a recogniser cannot tell: times, and confidences, which come with words."""
    from noisewise.errors import ConfigError
    from noisewise.inference.transcriber import must_tell_times

    is_cut = recogniser.times == "none" and window_seconds is not None
    must_tell_times(form, "segments" if is_cut else recogniser.times, model)
    if least_confidence and recogniser.times != "words":
        raise ConfigError(f"--least-confidence must come with confidences of words, but `{model}` tells none")


def _progress(
    output: Path, into_folder: bool, resume: bool, run: "_Run", options: DecodingOptions
) -> "Progress[Transcript]":
    """The state beside an output; its settings are all that changes a transcript."""
    from noisewise import __version__
    from noisewise.cli.resume import Progress, state_file
    from noisewise.files import sha256_of
    from noisewise.inference.transcript import Transcript

    used = [options.lm, options.rescore, options.lexicon]
    settings = {
        "version": __version__,
        "model": None if run.recogniser is None else run.recogniser.identity,
        "tagger": None if run.tagger is None else sha256_of(Path(run.tagger.folder)),
        "decoding": options.words(),
        "files": [sha256_of(Path(file)) for file in used if file is not None],
        "window_seconds": run.window_seconds,
        "strict": run.strict,
        "least_confidence": None if run.recogniser is None else run.recogniser.least_confidence,
    }
    return Progress(state_file(output, into_folder), Transcript, settings, resume)


class _Run:
    """Transcribes entries, some of which may be finished already."""

    def __init__(
        self,
        recogniser: "Transcriber | None",
        tagger: "Tagger | None",
        channels: "ChannelChoice",
        batch_seconds: float,
        window_seconds: float | None,
        strict: bool,
        hotwords: Mapping[str, float | None],
        progress: "Progress[Transcript] | None",
    ):
        self.recogniser, self.tagger, self.channels = recogniser, tagger, channels
        self.batch_seconds, self.window_seconds, self.strict = batch_seconds, window_seconds, strict
        self.hotwords, self.progress = hotwords, progress

    def each(self, found: Sequence["Entry"]) -> Iterator[tuple[int, list["Transcript"]]]:
        """The transcripts of each entry, one for each channel, as soon as all are there."""
        for positions in self._together(found):
            yield from self._some({position: found[position] for position in positions})

    def _together(self, found: Sequence["Entry"]) -> Iterator[list[int]]:
        """Positions of entries that are sorted and batched together."""
        positions: list[int] = []
        seconds = 0.0
        for position, entry in enumerate(found):
            positions.append(position)
            seconds += entry.input.seconds
            if len(positions) == TOGETHER or seconds > BATCHES * self.batch_seconds:
                yield positions
                positions, seconds = [], 0.0
        if positions:
            yield positions

    def _some(self, found: Mapping[int, "Entry"]) -> Iterator[tuple[int, list["Transcript"]]]:
        from noisewise.inference.sources import by_channel

        done: dict[int, dict[int, Transcript]] = {position: {} for position in found}
        parts = {position: by_channel(entry.input, self.channels) for position, entry in found.items()}
        waiting: list[tuple[int, int, Input]] = []  # position, number of the channel, input
        for position, inputs in parts.items():
            for number, each in enumerate(inputs):
                kept = None if self.progress is None else self.progress.get(each)
                if each.fault is not None:
                    done[position][number] = _failed(each)
                elif kept is not None:
                    done[position][number] = kept
                else:
                    waiting.append((position, number, each))
        whole = {position for position in parts if len(done[position]) == len(parts[position])}
        for position in sorted(whole):
            yield position, list(done[position].values())
        for index, transcript in self._transcripts([each for _, _, each in waiting]):
            position, number, each = waiting[index]
            if self.progress is not None:
                self.progress.add(each, transcript)
            done[position][number] = transcript
            if len(done[position]) == len(parts[position]):
                yield position, [done[position][place] for place in sorted(done[position])]

    def _transcripts(self, inputs: Sequence["Input"]) -> Iterator[tuple[int, "Transcript"]]:
        """Position and transcript of each input, with the sounds in it where they are asked for."""
        if self.recogniser is None or not inputs:
            return
        found = self.recogniser.each(
            inputs,
            strict=self.strict,
            hotwords=self.hotwords,
            batch_seconds=self.batch_seconds,
            window_seconds=self.window_seconds,
        )
        if self.tagger is None:
            yield from found
            return
        done = dict(found)
        used = [place for place in sorted(done) if done[place].error is None]
        tags = dict(self.tagger.each([inputs[place] for place in used], batch_seconds=self.batch_seconds))
        sounds: dict[int, Any] = {place: tags[number].sounds(SOUNDS, LIKELY) for number, place in enumerate(used)}
        for place in sorted(done):
            yield place, replace(done[place], sounds=sounds.get(place))
