"""`noisewise align AUDIO TEXT`: when each word and letter of a known text was spoken."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisewise.cli.subtitles import SubtitleOptions, with_subtitles

if TYPE_CHECKING:
    from noisewise.cli.inputs import Entry
    from noisewise.cli.resume import Progress
    from noisewise.inference.recogniser import Recogniser
    from noisewise.inference.sources import ChannelChoice
    from noisewise.inference.transcript import Transcript

FORMS = ("json", "textgrid", "ctm", "srt", "vtt", "rttm")
TABLES = (".tsv", ".csv")


@with_subtitles
def command(
    audio: Annotated[str, typer.Argument(help="Audio file; or a .tsv or .csv table with the columns path and text.")],
    text: Annotated[
        str | None, typer.Argument(help="The text, or a .txt file with it; * for an unknown passage.")
    ] = None,
    model: Annotated[str, typer.Option(help="`box`, or the folder of a model.")] = "box",
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="json, textgrid, ctm, srt, vtt or rttm; default: by the suffix of --output, or json."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A file, or a folder for one file per recording; default: print.")
    ] = None,
    channels: Annotated[
        str, typer.Option(help="mix, or numbers such as 1,2: the text is aligned with each of these channels.")
    ] = "mix",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run with the same --output was ended.")
    ] = False,
    unknown: Annotated[
        str,
        typer.Option(help="Words that the alphabet cannot spell, such as 2014: `error`, or `star` to time them too."),
    ] = "error",
    batch_seconds: Annotated[float, typer.Option(help="Audio that goes through the model at once.")] = 120.0,
    window_seconds: Annotated[
        float | None, typer.Option(help="Cut longer recordings into windows of this length.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse recordings whose end is missing.")] = False,
    *,
    subtitles: SubtitleOptions,
) -> None:
    """Align texts with recordings. Exit status 1 when some could not be aligned; the others are written."""
    from noisewise.cli.outputs import Faults, Output, is_folder
    from noisewise.cli.signals import ends_by_signals
    from noisewise.cli.transcribe import SUFFIX_OF, channels_of, is_shown
    from noisewise.errors import ConfigError, NoisewiseError
    from noisewise.inference.transcript import SINGLE, Document

    suffix = output.suffix.lower().lstrip(".") if output is not None else ""
    form = form or (suffix if suffix in FORMS else "json")
    if form not in FORMS:
        raise ConfigError(f"--format must be one of {', '.join(FORMS)}, but is '{form}' instead")
    if unknown not in ("error", "star"):
        raise NoisewiseError(f"--unknown must be error or star, but is '{unknown}' instead")
    if resume and output is None:
        raise ConfigError("--resume must come with --output, beside which the state is kept; give --output")
    chosen = channels_of(channels)
    if chosen in ("auto", "split"):
        raise ConfigError(f"--channels must be mix or numbers such as 1,2, but is '{channels}' instead")
    cues = subtitles.chosen()
    found = pairs_of(audio, text)
    if form in SINGLE and len(found) > 1 and not is_folder(output):
        raise ConfigError(f"{form} holds one recording, but {len(found)} were given; give --output FOLDER")

    def document(results: Sequence["Transcript"] | None) -> Document:
        sources = [each.input.name for each in found] if results is None else [each.source for each in results]
        return Document(form, sources, results is None and len(found) > 1, cues)

    faults = Faults()
    written: Output[Transcript] = Output(
        [each.name for each in found], document, output, SUFFIX_OF.get(form, form), is_shown
    )
    with ends_by_signals(), ExitStack() as stack:
        from noisewise.inference.recogniser import Recogniser

        options = {"unknown": unknown, "strict": strict, "window_seconds": window_seconds}
        recogniser = Recogniser.load(model, device)
        progress = None
        if output is not None:
            progress = stack.enter_context(_progress(output, recogniser, options, resume))
        options["batch_seconds"] = batch_seconds
        for position, transcripts in _each(recogniser, found, chosen, progress, options):
            faults.say(transcripts)
            if output is not None or form not in SINGLE or is_shown(transcripts):
                written.put(position, transcripts)
        if output is not None or form not in SINGLE or not faults.count:
            written.finish()
    raise typer.Exit(faults.status())


def _progress(output: Path, recogniser: "Recogniser", options: dict[str, Any], resume: bool) -> "Progress[Transcript]":
    """The state beside an output; its settings are all that changes times."""
    from noisewise import __version__
    from noisewise.cli.outputs import is_folder
    from noisewise.cli.resume import Progress, state_file
    from noisewise.files import sha256_of
    from noisewise.inference.transcript import Transcript

    settings = {"version": __version__, "model": sha256_of(recogniser.folder), **options}
    return Progress(state_file(output, is_folder(output)), Transcript, settings, resume)


def _each(
    recogniser: "Recogniser",
    found: Sequence["Entry"],
    channels: "ChannelChoice",
    progress: "Progress[Transcript] | None",
    options: dict[str, Any],
) -> Iterator[tuple[int, list["Transcript"]]]:
    """The alignments of each entry, one for each channel, as soon as all are there."""
    from noisewise.inference.sources import by_channel

    done: list[dict[int, Transcript]] = [{} for _ in found]
    inputs = [by_channel(each.input, channels) for each in found]
    waiting: list[tuple[int, int]] = []  # position, place among its channels
    for position, entry in enumerate(found):
        for place, each in enumerate(inputs[position]):
            kept = None if progress is None else progress.get(each, entry.text)
            if kept is None:
                waiting.append((position, place))
            else:
                done[position][place] = kept
        if len(done[position]) == len(inputs[position]):
            yield position, [done[position][place] for place in sorted(done[position])]
    pairs = [(inputs[position][place], found[position].text or "") for position, place in waiting]
    for index, transcript in recogniser.align(pairs, **options):
        position, place = waiting[index]
        if progress is not None:
            progress.add(inputs[position][place], transcript, found[position].text)
        done[position][place] = transcript
        if len(done[position]) == len(inputs[position]):
            yield position, [done[position][place] for place in sorted(done[position])]


def pairs_of(audio: str, text: str | None) -> list["Entry"]:
    """Recordings with their texts: one, or those of a table.

    Raises:
        NoisewiseError: a file that is not there, is not text, or lacks a column.
    """
    from noisewise.cli.inputs import entries, entry_of, rows
    from noisewise.errors import NoisewiseError

    if text is not None:
        found = entries([audio])
        if len(found) > 1:
            raise NoisewiseError(f"`{audio}` must be one recording, for it has one text, but is several; give a table")
        return [replace(found[0], text=_read(Path(text)) if text.lower().endswith(".txt") else text)]
    table = Path(audio)
    if table.suffix.lower() not in TABLES:
        raise NoisewiseError(f"`{audio}` must come with its text, but comes alone; add the text or a .txt file")
    pairs = []
    for line, row in rows(table):
        if not row.get("path") or row.get("text") is None:
            raise NoisewiseError(f"`{audio}`, line {line}: must have a `path` and a `text`, but lacks one; write it")
        pairs.append(entry_of(table, line, row))
    if not pairs:
        raise NoisewiseError(f"`{audio}` must hold the columns path and text and a row below, but holds none")
    return pairs


def _read(path: Path) -> str:
    """The text of a file."""
    from noisewise.errors import NoisewiseError

    if not path.is_file():
        raise NoisewiseError(f"`{path}` must be a text file, but there is no such file; check the path")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoisewiseError(f"`{path}` must be UTF-8 text, but is not; save it as UTF-8") from error
