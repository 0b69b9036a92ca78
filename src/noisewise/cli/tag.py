"""`noisewise tag FILES...`: the sounds in audio files, with probabilities and times."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisewise.cli.resume import Progress
    from noisewise.inference.sources import Input
    from noisewise.inference.tagger import Tagger
    from noisewise.inference.tags import Tags


def command(
    files: Annotated[
        list[str], typer.Argument(help="Audio files, folders of them, manifests or tables with parts of recordings.")
    ],
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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run with the same --output was ended.")
    ] = False,
) -> None:
    """Name the sounds in audio files. Exit status 1 when some could not be used; the others are written."""
    from noisewise.cli.inputs import entries
    from noisewise.cli.outputs import Faults, Output, is_folder, progress_bar
    from noisewise.cli.resume import Progress, state_file
    from noisewise.cli.signals import ends_by_signals
    from noisewise.errors import ConfigError
    from noisewise.files import sha256_of
    from noisewise.inference.tagger import Tagger
    from noisewise.inference.tags import Tags, render

    if resume and output is None:
        raise ConfigError("--resume must come with --output, beside which the state is kept; give --output")
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
    with ends_by_signals(), ExitStack() as stack:
        advance = stack.enter_context(progress_bar(len(found), "tagging"))
        tagger = Tagger.load(model, device)
        progress: Progress[Tags] | None = None
        if output is not None:
            settings = {"model": sha256_of(Path(tagger.folder)), "window": window, "hop": hop}
            progress = stack.enter_context(Progress(state_file(output, is_folder(output)), Tags, settings, resume))
        for position, tags in _each(tagger, [each.input for each in found], progress, window, hop, batch_seconds):
            faults.say([tags])
            written.put(position, [tags])
            advance()
        written.finish()
    raise typer.Exit(faults.status())


def _each(
    tagger: "Tagger",
    inputs: Sequence["Input"],
    progress: "Progress[Tags] | None",
    window: float | None,
    hop: float | None,
    batch_seconds: float,
) -> Iterator[tuple[int, "Tags"]]:
    """The tags of each input, those first that are finished already."""
    waiting: list[int] = []
    for position, each in enumerate(inputs):
        kept = None if progress is None else progress.get(each)
        if kept is None:
            waiting.append(position)
        else:
            yield position, kept
    for index, tags in tagger.each(
        [inputs[position] for position in waiting], window_seconds=window, hop_seconds=hop, batch_seconds=batch_seconds
    ):
        if progress is not None:
            progress.add(inputs[waiting[index]], tags)
        yield waiting[index], tags


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
