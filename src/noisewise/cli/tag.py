"""`noisewise tag FILES...`: the sounds in audio files, with probabilities and times."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisewise.inference.tags import Tags


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
    from noisewise.cli.inputs import entries
    from noisewise.cli.outputs import Faults, Output, progress_bar
    from noisewise.cli.signals import ends_by_signals
    from noisewise.inference.tagger import Tagger
    from noisewise.inference.tags import render

    render([], form, top, threshold)  # what cannot be written is refused before the model runs
    found = entries(files)
    faults = Faults()
    written: Output[Tags] = Output(
        [each.name for each in found],
        lambda _: _Document(lambda some: render(some, form, top, threshold)),
        output,
        "txt" if form == "text" else form,
        lambda results: results[0].error is None,
    )
    with ends_by_signals(), progress_bar(len(found), "tagging") as advance:
        tagger = Tagger.load(model, device)
        for position, tags in tagger.each(
            [each.input for each in found], window_seconds=window, hop_seconds=hop, batch_seconds=batch_seconds
        ):
            faults.say([tags])
            written.put(position, [tags])
            advance()
        written.finish()
    raise typer.Exit(faults.status())


class _Document:
    """Tags of all recordings, whose forms are written at once."""

    def __init__(self, render: Callable[[Sequence["Tags"]], str]):
        self._render = render
        self._found: list[Tags] = []

    def head(self) -> str:
        """Nothing."""
        return ""

    def part(self, results: Sequence["Tags"]) -> str:
        """Nothing yet."""
        self._found += results
        return ""

    def foot(self) -> str:
        """The document."""
        return self._render(self._found)
