"""`noisewise transcribe FILES...`: audio files to text, subtitles or a table."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from noisewise.cli.decoding import DecodingOptions, with_decoding

if TYPE_CHECKING:
    from noisewise.inference.tagger import Tagger
    from noisewise.inference.transcript import Transcript

T = TypeVar("T")

SUFFIXES = frozenset(
    f".{name}"
    for names in (
        "wav flac ogg oga opus mp3 aif aiff aifc au caf w64 sph",  # libsndfile
        "m4a mp4 aac webm mkv mov wma amr 3gp",  # the extra `media`
    )
    for name in names.split()
)
"""Suffixes of the files that are taken from a folder; a file that is named is read whatever its suffix."""

WITH_SOUNDS = ("txt", "tsv", "json")
"""Forms that have a place for sounds."""

SOUNDS, LIKELY = 3, 0.1
"""Number of sounds that are named beside the words at most, and their least probability."""

LOW_CONFIDENCE = 0.6
"""Noisy recordings of the box's development set with less had a word error rate above 50 %."""

SUFFIX_OF = {"textgrid": "TextGrid"}
"""Forms whose files end in something else."""


@with_decoding
def command(
    files: Annotated[list[str], typer.Argument(help="Audio files, or folders of them.")],
    model: Annotated[str, typer.Option(help="`box`, or the folder of a model.")] = "box",
    form: Annotated[str, typer.Option("--format", help="txt, json, srt, vtt, tsv, ctm or textgrid.")] = "txt",
    output: Annotated[
        Path | None, typer.Option(help="A file, or a folder for one file per recording; default: print.")
    ] = None,
    batch_seconds: Annotated[float, typer.Option(help="Audio that goes through the model at once.")] = 120.0,
    window_seconds: Annotated[
        float | None, typer.Option(help="Cut longer recordings into windows of this length.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
    least_confidence: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Leave out stretches of less mean confidence: no speech; 0 keeps all; default: the model's.",
        ),
    ] = None,
    tag: Annotated[
        str | None, typer.Option(help="The folder of a tagger: name the sounds beside the words; txt, tsv or json.")
    ] = None,
    *,
    options: DecodingOptions,
) -> None:
    """Transcribe audio files. Exit status 1 when some of them could not be used; the others are written."""
    from noisewise.errors import ConfigError
    from noisewise.inference.transcript import SINGLE, WRITERS

    if form not in WRITERS:
        raise ConfigError(f"--format must be one of {', '.join(WRITERS)}, but is '{form}' instead")
    sources = expand(files)
    into_folder = output is not None and (output.is_dir() or not output.suffix)
    if form in SINGLE and len(sources) > 1 and not into_folder:
        raise ConfigError(f"{form} holds one recording, but {len(sources)} were given; give --output FOLDER")
    if tag is not None and form not in WITH_SOUNDS:
        raise ConfigError(f"--tag must come with --format {', '.join(WITH_SOUNDS)}, but the format is {form}")
    from noisewise.inference.recogniser import Recogniser

    tagger = None if tag is None else _tagger(tag, device, sources)
    recogniser = Recogniser.load(model, device, options.chosen(model))
    if least_confidence is not None:
        recogniser.least_confidence = least_confidence
    found = recogniser.each(
        sources, batch_seconds=batch_seconds, window_seconds=window_seconds, hotwords=options.boosts()
    )
    transcripts = collected(found, len(sources), "transcribing")
    if tagger is not None:
        transcripts = _with_sounds(transcripts, tagger, batch_seconds)
    write(transcripts, form, output, into_folder)
    if recogniser.least_confidence:
        warn(transcripts)
    complain(transcripts)


def _tagger(model: str, device: str, sources: Sequence[str]) -> "Tagger":
    """A tagger for recordings that can be read twice."""
    from noisewise.errors import NoisewiseError
    from noisewise.inference.tagger import Tagger

    odd = [source for source in sources if Path(source).exists() and not Path(source).is_file()]
    if odd:
        raise NoisewiseError(f"`{odd[0]}` must be a file for --tag, which reads it again, but is none; save it first")
    return Tagger.load(model, device)


def _with_sounds(transcripts: list["Transcript"], tagger: "Tagger", batch_seconds: float) -> list["Transcript"]:
    """Transcripts with the likeliest sounds of those recordings that could be used."""
    from dataclasses import replace

    used = [place for place, each in enumerate(transcripts) if each.error is None]
    tags_of = tagger.each([transcripts[place].source for place in used], batch_seconds=batch_seconds)
    found = list(transcripts)
    for place, tags in zip(used, collected(tags_of, len(used), "tagging"), strict=True):
        found[place] = replace(found[place], sounds=tags.sounds(SOUNDS, LIKELY))
    return found


def warn(transcripts: Sequence["Transcript"]) -> None:
    """Say on stderr which recordings hold no speech, and which may be wrong; one line each.

    Only for a model with a least confidence of its own: of others nobody has looked at what theirs means.
    """
    for each in transcripts:
        if each.left_out and not each.words:
            print(
                f"noisewise: {each.source}: no speech found: its {len(each.left_out)} likeliest words are too unsure; "
                "--least-confidence 0 writes them",
                file=sys.stderr,
            )
        elif each.words and each.confidence < LOW_CONFIDENCE:
            print(
                f"noisewise: {each.source}: confidence is low ({each.confidence:.2f}), so half its words may be "
                "wrong; record closer to the microphone, or use a model made for such speech",
                file=sys.stderr,
            )


def complain(found: Sequence[Any]) -> None:
    """Print the `error` of those that have one, and then exit with status 1."""
    failed = [each for each in found if each.error is not None]
    for each in failed:
        print(f"noisewise: {each.error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def expand(files: Sequence[str]) -> list[str]:
    """Replace each folder by the audio files under it, in the order of their names, without hidden ones."""
    from noisewise.errors import NoisewiseError

    found: list[str] = []
    for file in files:
        if not Path(file).is_dir():
            found.append(file)
            continue
        inside = [
            path
            for path in sorted(Path(file).rglob("*"))
            if path.suffix.lower() in SUFFIXES
            and not any(part.startswith(".") for part in path.relative_to(file).parts)
            and path.is_file()
        ]
        if not inside:
            raise NoisewiseError(f"`{file}` must hold audio files, but holds none (wav, flac, ogg, mp3, ...)")
        found.extend(map(str, inside))
    return found


def collected(found: Iterable[tuple[int, T]], total: int, doing: str) -> list[T]:
    """What comes with its position, in the order of the positions; with a bar on a terminal when there are several."""
    done: dict[int, T] = {}
    with _bar(total, doing) as advance:
        for position, each in found:
            done[position] = each
            advance()
    return [done[position] for position in range(total)]


@contextmanager
def _bar(total: int, doing: str) -> Iterator[Any]:
    """A progress bar on stderr, if someone is there to see it and there is more than one file."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda: progress.advance(task)


def write(transcripts: list["Transcript"], form: str, output: Path | None, into_folder: bool) -> None:
    """Print, or write one file, or one file per recording that could be used."""
    from noisewise.inference.transcript import SINGLE, render

    if output is not None or form not in {"txt", *SINGLE} or len(transcripts) > 1 or transcripts[0].error is None:
        write_each(transcripts, lambda some: render(some, form), SUFFIX_OF.get(form, form), output, into_folder)


def write_each(
    found: Sequence[Any], render: Callable[[Sequence[Any]], str], suffix: str, output: Path | None, into_folder: bool
) -> None:
    """Print what `render` makes of all, or write it to a file, or of each that has no `error` to a file of its own."""
    from noisewise.files import replaced
    from noisewise.inference.transcript import short_names

    if output is None:
        print(render(found), end="")
        return
    if not into_folder:
        with replaced(output) as file:
            file.write(render(found))
        return
    output.mkdir(parents=True, exist_ok=True)
    names = short_names([each.source for each in found])
    for name, each in zip(names, found, strict=True):
        if each.error is None:
            with replaced(output / f"{name}.{suffix}") as file:
                file.write(render([each]))
