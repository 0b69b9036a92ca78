"""`noisewise tag FILES...`: the sounds in audio files, with probabilities and times."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    files: Annotated[list[str], typer.Argument(help="Audio files, or folders of them.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The folder of a tagger.")],
    form: Annotated[str, typer.Option("--format", help="text, json, csv or tsv.")] = "text",
    output: Annotated[
        Path | None, typer.Option(help="A file, or a folder for one file per recording; default: print.")
    ] = None,
    window: Annotated[float | None, typer.Option(help="Seconds of a window.", show_default="that of the model")] = None,
    hop: Annotated[
        float | None, typer.Option(help="Seconds from one window to the next.", show_default="half a window")
    ] = None,
    top: Annotated[int, typer.Option(help="Write so many labels of each recording and window, at most.")] = 5,
    threshold: Annotated[float, typer.Option(help="Write no label that is less likely than this.")] = 0.0,
    batch_seconds: Annotated[float, typer.Option(help="Audio that goes through the model at once.")] = 120.0,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
) -> None:
    """Name the sounds in audio files. Exit status 1 when some could not be used; the others are written."""
    from noisewise.cli.transcribe import collected, complain, expand, write_each
    from noisewise.inference.tagger import Tagger
    from noisewise.inference.tags import render

    render([], form, top, threshold)  # what cannot be written is refused before the model runs
    sources = expand(files)
    tagger = Tagger.load(model, device)
    found = collected(
        tagger.each(sources, window_seconds=window, hop_seconds=hop, batch_seconds=batch_seconds),
        len(sources),
        "tagging",
    )
    into_folder = output is not None and (output.is_dir() or not output.suffix)
    suffix = "txt" if form == "text" else form
    write_each(found, lambda some: render(some, form, top, threshold), suffix, output, into_folder)
    complain(found)
