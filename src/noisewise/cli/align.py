"""`noisewise align AUDIO TEXT`: when each word and letter of a known text was spoken."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisewise.inference.recogniser import Source

FORMS = ("json", "textgrid", "ctm", "srt", "vtt")
TABLES = (".tsv", ".csv")


def command(
    audio: Annotated[str, typer.Argument(help="Audio file; or a .tsv or .csv table with the columns path and text.")],
    text: Annotated[
        str | None, typer.Argument(help="The text, or a .txt file with it; * for an unknown passage.")
    ] = None,
    model: Annotated[str, typer.Option(help="`box`, or the folder of a model.")] = "box",
    form: Annotated[
        str | None,
        typer.Option("--format", help="json, textgrid, ctm, srt or vtt; default: by the suffix of --output, or json."),
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
) -> None:
    """Align texts with recordings. Exit status 1 when some could not be aligned; the others are written."""
    from noisewise.cli.transcribe import complain, write
    from noisewise.errors import ConfigError, NoisewiseError
    from noisewise.inference.transcript import SINGLE

    suffix = output.suffix.lower().lstrip(".") if output is not None else ""
    form = form or (suffix if suffix in FORMS else "json")
    if form not in FORMS:
        raise ConfigError(f"--format must be one of {', '.join(FORMS)}, but is '{form}' instead")
    if unknown not in ("error", "star"):
        raise NoisewiseError(f"--unknown must be error or star, but is '{unknown}' instead")
    pairs = pairs_of(audio, text)
    into_folder = output is not None and (output.is_dir() or not output.suffix)
    if form in SINGLE and len(pairs) > 1 and not into_folder:
        raise ConfigError(f"{form} holds one recording, but {len(pairs)} were given; give --output FOLDER")
    from noisewise.inference.recogniser import Recogniser

    recogniser = Recogniser.load(model, device)
    done = dict(
        recogniser.align(
            pairs,
            unknown="star" if unknown == "star" else "error",
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
        )
    )
    transcripts = [done[position] for position in range(len(pairs))]
    write(transcripts, form, output, into_folder)
    complain(transcripts)


def pairs_of(audio: str, text: str | None) -> list[tuple["Source", str]]:
    """Recordings and their texts: one, or those of a table.

    Raises:
        NoisewiseError: a file that is not there, is not text, or lacks a column.
    """
    from noisewise.errors import NoisewiseError

    if text is not None:
        return [(audio, _read(Path(text)) if text.lower().endswith(".txt") else text)]
    table = Path(audio)
    if table.suffix.lower() not in TABLES:
        raise NoisewiseError(f"`{audio}` must come with its text, but comes alone; add the text or a .txt file")
    lines = _read(table).splitlines()
    is_tsv = table.suffix.lower() == ".tsv"
    rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if is_tsv else csv.DictReader(lines))
    if not rows:
        raise NoisewiseError(f"`{audio}` must hold the columns path and text and a row below, but holds none")
    for line, row in enumerate(rows, start=2):
        if not row.get("path") or row.get("text") is None:
            raise NoisewiseError(f"`{audio}`, line {line}: must have a `path` and a `text`, but lacks one; write it")
    return [(str(table.parent / row["path"]), row["text"]) for row in rows]


def _read(path: Path) -> str:
    """The text of a file."""
    from noisewise.errors import NoisewiseError

    if not path.is_file():
        raise NoisewiseError(f"`{path}` must be a text file, but there is no such file; check the path")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoisewiseError(f"`{path}` must be UTF-8 text, but is not; save it as UTF-8") from error
