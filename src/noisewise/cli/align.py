"""`noisewise align AUDIO TEXT`: when each word and letter of a known text was spoken."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisewise.cli.subtitles import SubtitleOptions, with_subtitles

if TYPE_CHECKING:
    from noisewise.cli.inputs import Entry
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
    from noisewise.cli.transcribe import SUFFIX_OF, is_shown
    from noisewise.errors import ConfigError, NoisewiseError
    from noisewise.inference.transcript import SINGLE, Document

    suffix = output.suffix.lower().lstrip(".") if output is not None else ""
    form = form or (suffix if suffix in FORMS else "json")
    if form not in FORMS:
        raise ConfigError(f"--format must be one of {', '.join(FORMS)}, but is '{form}' instead")
    if unknown not in ("error", "star"):
        raise NoisewiseError(f"--unknown must be error or star, but is '{unknown}' instead")
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
    with ends_by_signals():
        from noisewise.inference.recogniser import Recogniser

        recogniser = Recogniser.load(model, device)
        for position, transcript in recogniser.align(
            [(each.input, each.text or "") for each in found],
            unknown="star" if unknown == "star" else "error",
            strict=strict,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
        ):
            faults.say([transcript])
            if output is not None or form not in SINGLE or is_shown([transcript]):
                written.put(position, [transcript])
        if output is not None or form not in SINGLE or not faults.count:
            written.finish()
    raise typer.Exit(faults.status())


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
