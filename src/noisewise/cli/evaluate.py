"""`noisewise evaluate`: word error rate of a recogniser, or accuracy of a tagger, over noise types and signal-to-noise
ratios."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisewise.cli.decoding import DecodingOptions, with_decoding

if TYPE_CHECKING:
    from noisewise.evaluation.result import GridResult
    from noisewise.evaluation.runner import Progress
    from noisewise.evaluation.systems.protocol import NamedRecogniser
    from noisewise.evaluation.tagging_result import TaggingResult

LISTS = ("--snr",)
"""Options that take several numbers after one another."""
SNRS_DB = [0.0, 5.0, 10.0, 15.0, 20.0]


@with_decoding
def command(
    manifest: Annotated[
        str,
        typer.Argument(
            help="Speech with texts, or clips with labels: manifest, table or its folder; #split=test keeps a split."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Result, JSON.")],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="'box', a model folder, 'hf:FOLDER_OR_ID', 'openai:URL#MODEL', 'command:PROGRAM ARGS {}' or "
            "'python:module:function'; for clips the folder of a tagger, or a function of a module with LABELS.",
        ),
    ] = "box",
    noise: Annotated[str | None, typer.Option(help="Noise with a label column; without it only clean speech.")] = None,
    snr: Annotated[
        list[float] | None,
        typer.Option(help="Signal-to-noise ratios in dB: 0 5 10.", show_default="0 5 10 15 20"),
    ] = None,
    degrade: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead of noise: reverb, clip, lowpass, codec (mulaw, opus, vorbis, mp3), gain, speed, loss, all; "
            "commas between, or reverb=0.5,1 with levels of your own, several times."
        ),
    ] = None,
    types: Annotated[
        str | None, typer.Option(help="Noise types, with commas between.", show_default="all there are")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise and of the bootstrap.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Take this many utterances, evenly spaced.")] = None,
    bootstrap: Annotated[str, typer.Option(help="What is resampled: utterance or speaker.")] = "utterance",
    markdown: Annotated[Path | None, typer.Option(help="Also write the table here, Markdown.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write the table here, LaTeX.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Also draw a heat map here, PNG, PDF or SVG.")] = None,
    transcripts: Annotated[bool, typer.Option(help="Keep what was said and heard in the result.")] = True,
    label_column: Annotated[str, typer.Option(help="Of the manifest, for a tagger.")] = "label",
    workers: Annotated[int, typer.Option(help="Side by side, for command:, openai: and hf:.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds for one file, for command: and openai:.")] = 60.0,
    device: Annotated[str, typer.Option(help="Where a model runs: cpu, cuda.")] = "cpu",
    cache: Annotated[
        Path | None, typer.Option(help="Keep transcripts here, JSONL; what was heard once is not asked again.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget the cells of an interrupted run.")] = False,
    *,
    options: DecodingOptions,
) -> None:
    """Measure a recogniser, or a tagger, in noise. An interrupted run goes on where it stopped."""
    from noisewise.evaluation import noise_grid as grid
    from noisewise.evaluation import provenance
    from noisewise.evaluation.systems import loading as recognisers
    from noisewise.evaluation.systems import taggers

    if figure is not None:
        import_module("noisewise.reports.figure")  # a missing extra is found now, not after the grid
    partial = output.with_name(f".{output.name}.partial")
    if restart:
        partial.unlink(missing_ok=True)
    recogniser: NamedRecogniser | None = None
    if taggers.is_tagger(model):
        _must_be_plain(options.words(), cache)
    else:
        recogniser = recognisers.parse(
            model,
            workers=workers,
            timeout_seconds=timeout,
            device=device,
            decoding=options.chosen(model),
            hotwords=options.boosts(),
        )
    if cache is not None and recogniser is not None:
        from noisewise.evaluation.systems.cache import cached

        recogniser = cached(recogniser, cache)
    chosen_types = [name.strip() for name in types.split(",") if name.strip()] if types else None
    levels = _levels(degrade, noise)
    words = _words(manifest, model, noise, snr, chosen_types, seed, limit, bootstrap, transcripts, output, levels)
    words += options.words()
    words += ["--label-column", label_column] if recogniser is None and label_column != "label" else []
    common: dict[str, Any] = {"seed": seed, "limit": limit, "bootstrap_unit": bootstrap, "partial": partial}
    ratios = SNRS_DB if snr is None else snr
    result: GridResult | TaggingResult
    try:
        with _progress() as report:
            common["progress"] = report
            if recogniser is None:
                from noisewise.evaluation.tagging import evaluate_tagger

                tagger = taggers.parse(model, device=device)
                common |= {"levels": levels, "label_column": label_column}
                result = evaluate_tagger(manifest, tagger, noise, ratios, types=chosen_types, **common)
            elif levels:
                from noisewise.evaluation.degradations import evaluate_degraded

                result = evaluate_degraded(manifest, recogniser, levels, **common)
            else:
                result = grid.evaluate(manifest, recogniser, noise, ratios, types=chosen_types, **common)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last finished cell", file=sys.stderr)
        raise
    result = result.described(command=provenance.command(words), versions=provenance.versions())
    _write(result if transcripts else result.without_transcripts(), output, markdown, latex, figure)
    partial.unlink(missing_ok=True)
    if _complain(result):
        raise typer.Exit(1)


def _must_be_plain(decoding: list[str], cache: Path | None) -> None:
    """Refuse for a tagger what only recognisers have."""
    from noisewise.errors import NoisewiseError

    if decoding or cache is not None:
        what = decoding[0] if decoding else "--cache"
        raise NoisewiseError(f"{what} must come with a recogniser, but --model is a tagger; leave it out")


def _levels(degrade: list[str] | None, noise: str | None) -> dict[str, list[float]]:
    """Degradations to their levels; none when not asked for."""
    if not degrade:
        return {}
    from noisewise.errors import NoisewiseError
    from noisewise.evaluation.degradations import parse_levels

    if noise is not None:
        raise NoisewiseError("--degrade and --noise must be measured one after the other, but are both given")
    return parse_levels(degrade)


def _words(
    manifest: str,
    model: str,
    noise: str | None,
    snr: list[float] | None,
    types: list[str] | None,
    seed: int,
    limit: int | None,
    bootstrap: str,
    transcripts: bool,
    output: Path,
    levels: dict[str, list[float]],
) -> list[str]:
    """The command that rebuilds the result, without the options that change nothing in it."""
    words = ["noisewise", "evaluate", manifest, "--model", model]
    if noise is not None:
        words += ["--noise", noise, "--snr", *(f"{one:g}" for one in (snr or SNRS_DB))]
    for kind, chosen in levels.items():
        words += ["--degrade", f"{kind}={','.join(f'{level:g}' for level in chosen)}"]
    words += ["--types", ",".join(types)] if types else []
    words += ["--seed", str(seed)]
    words += ["--limit", str(limit)] if limit is not None else []
    words += ["--bootstrap", bootstrap] if bootstrap != "utterance" else []
    words += [] if transcripts else ["--no-transcripts"]
    return [*words, "--output", str(output)]


def _write(
    result: "GridResult | TaggingResult", output: Path, markdown: Path | None, latex: Path | None, figure: Path | None
) -> None:
    from noisewise.evaluation.result import GridResult
    from noisewise.reports import tables as table
    from noisewise.reports import tagging_table

    result.save(output)
    if isinstance(result, GridResult):
        text, as_latex = table.markdown([result]), table.latex([result])
    else:
        text, as_latex = tagging_table.markdown(result), tagging_table.latex(result)
    print(text, end="")
    for path, written in ((markdown, text), (latex, as_latex)):
        if path is not None:
            path.write_text(written, encoding="utf-8")
    if figure is not None:
        from noisewise.reports.figure import plot_degradations, plot_grid, plot_measures

        if not isinstance(result, GridResult):
            plot_measures(result, tagging_table.measures(result), figure)
        else:
            (plot_degradations if result.axis == "level" else plot_grid)(result, figure)


def _complain(result: "GridResult | TaggingResult") -> bool:
    """Say what was left out; True when something was."""
    for one in result.skipped:
        print(f"skipped {one.id}: {one.reason}", file=sys.stderr)
    for condition, failures in result.reasons.items():
        for name, reason in failures.items():
            print(f"failed {condition} {name}: {reason}", file=sys.stderr)
    if result.failures or result.skipped:
        from noisewise.evaluation.result import GridResult

        words = isinstance(result, GridResult)
        what, lost = ("utterances", "as heard empty") if words else ("clips", "as scored lowest where their labels are")
        print(
            f"{len(result.skipped)} {what} skipped; {result.failures} failures counted {lost}",
            file=sys.stderr,
        )
    return bool(result.failures or result.skipped)


@contextmanager
def _progress() -> "Iterator[Callable[[Progress], None]]":
    """A bar with the remaining time on a terminal, a line for each cell elsewhere; both on stderr."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=None)

        def show(progress: "Progress") -> None:
            failed = f" ({progress.failures} failed)" if progress.failures else ""
            bar.update(task, completed=progress.done, total=progress.total, description=progress.condition + failed)

        yield show


class _Lines:
    """One line when a cell begins."""

    def __init__(self) -> None:
        self.condition = ""

    def __call__(self, progress: "Progress") -> None:
        if progress.condition != self.condition:
            self.condition = progress.condition
            print(
                f"{progress.condition}: {progress.done} of {progress.total} utterances heard, "
                f"{progress.failures} failures",
                file=sys.stderr,
                flush=True,
            )
