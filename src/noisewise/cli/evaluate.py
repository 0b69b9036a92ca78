"""`noisewise evaluate`: word error rate of a recogniser, or accuracy of a tagger, over noise types and signal-to-noise
ratios."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisewise.cli.decoding import DecodingOptions, with_decoding

if TYPE_CHECKING:
    from noisewise.evaluation.config import GridConfig
    from noisewise.evaluation.result import GridResult
    from noisewise.evaluation.runner import Progress
    from noisewise.evaluation.systems.protocol import NamedRecogniser
    from noisewise.evaluation.systems.taggers import NamedTagger
    from noisewise.evaluation.test_set import Utterance
    from noisewise.evaluation.words import TextCell

LISTS = ("--snr",)
"""Options that take several numbers after one another."""


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
            help="'box', a model folder, 'whisper:SIZE_OR_FOLDER', 'hf:FOLDER_OR_ID', 'onnx:NAME_OR_FOLDER' (these "
            "with options: '?beam=5&language=en'), 'openai:URL#MODEL', 'command:PROGRAM ARGS {}' or "
            "'python:module:function'; for clips the folder of a tagger, or a function of a module with LABELS.",
        ),
    ] = "box",
    noise: Annotated[str | None, typer.Option(help="Noise with a label column; without it only clean speech.")] = None,
    snr: Annotated[
        list[float] | None,
        typer.Option(help="Signal-to-noise ratios in dB: 0 5 10.", show_default="0 5 10 15 20"),
    ] = None,
    speech_free: Annotated[
        str | None,
        typer.Option(
            help="Manifest of noise without speech, in which the words that a recogniser invents are counted."
        ),
    ] = None,
    degrade: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead of noise: reverb, clip, lowpass, codec (mulaw, opus, vorbis, mp3), gain, speed, loss, all; "
            "commas between, or reverb=0.5,1 with levels of your own, several times."
        ),
    ] = None,
    suite: Annotated[
        str,
        typer.Option(
            help="Instead of noise: srb, the corruptions of Speech Robust Bench (with --noise and --rir those that "
            "need recordings too), or srb-lite, without recordings."
        ),
    ] = "",
    rir: Annotated[str | None, typer.Option(help="Manifest of impulse responses, for --suite srb.")] = None,
    types: Annotated[
        str | None, typer.Option(help="Noise types, with commas between.", show_default="all there are")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise and of the bootstrap.")] = 0,
    limit: Annotated[
        int | None, typer.Option(help="Number of utterances or clips, evenly spaced over the manifest.")
    ] = None,
    bootstrap: Annotated[
        str,
        typer.Option(
            help="What the confidence intervals resample: utterance, speaker, hierarchical (both), a column of the "
            "manifest, or auto: speakers where ten or more are named."
        ),
    ] = "auto",
    bootstrap_samples: Annotated[int, typer.Option(help="Number of bootstrap resamples.")] = 1000,
    subgroups: Annotated[
        str | None,
        typer.Option(help="Columns of the manifest with rates for each of their values, commas between: gender,age."),
    ] = None,
    nll: Annotated[
        bool, typer.Option("--nll", help="Keep the negative log-likelihood of the references, of our own models.")
    ] = False,
    normaliser: Annotated[
        str | None,
        typer.Option(
            help="Form in which words are compared: english, english-spoken (numerals read), whisper, "
            "german, turkish, unicode, unicode-cased, none.",
            show_default="english, or what keeps the letters of the model",
        ),
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write the table here, Markdown.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write the table here, LaTeX.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Also draw it here, PNG, PDF or SVG.")] = None,
    trn: Annotated[
        Path | None,
        typer.Option(help="Also write references and hypotheses to this folder, one trn file a condition, for sclite."),
    ] = None,
    ctm: Annotated[
        Path | None,
        typer.Option(
            help="Also write the words with their times to this folder, one ctm file a condition, and the references "
            "as stm, for sclite."
        ),
    ] = None,
    transcripts: Annotated[bool, typer.Option(help="Keep references and hypotheses in the result.")] = True,
    label_column: Annotated[
        str, typer.Option(help="Column of the manifest with the labels of clips, for a tagger.")
    ] = "label",
    workers: Annotated[
        int, typer.Option(help="Utterances at the same time, for all but noisewise models and functions.")
    ] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds for one file, for command: and openai:.")] = 60.0,
    device: Annotated[str, typer.Option(help="Where a model runs: cpu, cuda.")] = "cpu",
    cache: Annotated[
        Path | None, typer.Option(help="Keep transcripts here, JSONL; no utterance is transcribed twice.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget the finished conditions of an interrupted run.")
    ] = False,
    *,
    options: DecodingOptions,
) -> None:
    """Measure a recogniser, or a tagger, in noise. An interrupted run goes on where it stopped."""
    from dataclasses import replace

    from noisewise.evaluation import provenance
    from noisewise.evaluation.config import SNRS_DB, GridConfig
    from noisewise.evaluation.evaluate import evaluate

    if figure is not None:
        import_module("noisewise.reports.figures.grid")  # a missing extra is found now, not after the grid
    partial = output.with_name(f".{output.name}.partial")
    if restart:
        partial.unlink(missing_ok=True)
    system = _system(model, options, workers, timeout, device, cache)
    config = GridConfig(
        manifest=manifest,
        noise=noise,
        types=_names(types),
        snrs_db=list(SNRS_DB) if snr is None else snr,
        levels=_levels(degrade, noise),
        suite=suite,  # type: ignore[arg-type]  # checked by the configuration
        rir=rir,
        label_column=label_column,
        seed=seed,
        limit=limit,
        bootstrap_unit=bootstrap,
        bootstrap_samples=bootstrap_samples,
        normaliser=_normaliser(system, normaliser),  # type: ignore[arg-type]  # checked with the test set
        subgroups=_names(subgroups),
        nll=nll,
        speech_free=speech_free,
    )
    try:
        with _progress() as report:
            result = evaluate(system, config, partial=partial, progress=report, timed=_ctm(config, ctm))
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last finished condition", file=sys.stderr)
        raise
    words = ["noisewise", "evaluate", manifest, "--model", model, *config.options()]
    words += [*([] if transcripts else ["--no-transcripts"]), "--output", str(output), *options.words()]
    result = replace(result, command=provenance.command(words), versions=provenance.versions())
    _report_lost(result)
    if trn is not None:
        from noisewise.evaluation.sclite import write_trn

        write_trn(result, trn)
    _write(result if transcripts else result.without_transcripts(), output, markdown, latex, figure)
    partial.unlink(missing_ok=True)
    if _report_losses(result):
        raise typer.Exit(1)


def _ctm(
    config: "GridConfig", folder: Path | None
) -> "Callable[[Sequence[Utterance], Sequence[TextCell]], object] | None":
    """What writes the words with times; None where they are not asked for."""
    if folder is None:
        return None
    from noisewise.evaluation.sclite import write_ctm

    return lambda utterances, cells: write_ctm(utterances, cells, config.normaliser, folder)


def _names(text: str | None) -> list[str]:
    """What stands between commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _system(
    model: str, options: DecodingOptions, workers: int, timeout: float, device: str, cache: Path | None
) -> "NamedRecogniser | NamedTagger":
    from noisewise.evaluation.systems import loading, taggers

    if taggers.is_tagger(model):
        _must_be_plain(options.words(), cache)
        return taggers.load(model, device=device)
    recogniser = loading.load(
        model,
        workers=workers,
        timeout_seconds=timeout,
        device=device,
        decoding=options.chosen(model),
        hotwords=options.boosts(),
    )
    if cache is None:
        return recogniser
    from noisewise.evaluation.systems.cache import cached

    return cached(recogniser, cache)


def _normaliser(system: "NamedRecogniser | NamedTagger", chosen: str | None) -> str:
    """The normaliser that is asked for, else the one that keeps the letters of the model, which is said."""
    fits: str = getattr(system, "normaliser", "english")
    if chosen is None and fits != "english":
        print(f"note: the model has letters beside A to Z; words are compared by --normaliser {fits}", file=sys.stderr)
    if chosen == "english" != fits:
        print(
            f"warning: the normaliser english removes or replaces letters of the model; choose --normaliser {fits}",
            file=sys.stderr,
        )
    return chosen or fits


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


def _write(result: "GridResult", output: Path, markdown: Path | None, latex: Path | None, figure: Path | None) -> None:
    from noisewise.files import replaced
    from noisewise.reports import tables

    result.save(output)
    text = tables.markdown([result])
    print(text, end="")
    for path, written in ((markdown, text), (latex, tables.latex([result]))):
        if path is not None:
            with replaced(path) as file:
                file.write(written)
    if figure is not None:
        from noisewise.reports.figures.grid import plot_result

        plot_result(result, figure)


def _report_lost(result: "GridResult") -> None:
    """Print what is spoken and was removed before texts were compared."""
    from collections import Counter

    from noisewise.scoring.words import said

    for side, counts in result.lost.items():
        print(
            f"warning: {sum(counts.values())} spoken characters of the {side} were removed by the normaliser "
            f"{result.normaliser}: {said(Counter(counts))}; rates do not count them: spell them out in words, "
            "or choose --normaliser unicode",
            file=sys.stderr,
        )


def _report_losses(result: "GridResult") -> bool:
    """Print what was skipped and what failed; True when something was."""
    for one in result.skipped:
        print(f"skipped {one.id}: {one.reason}", file=sys.stderr)
    for condition, failures in result.per_item.failures.items():
        for name, reason in failures.items():
            print(f"failed {condition} {name}: {reason}", file=sys.stderr)
    if result.failures or result.skipped:
        words = result.task == "recognition"
        what = "utterances" if words else "clips"
        lost = "as empty hypotheses (all deletions)" if words else "as lowest where their labels are"
        print(f"{len(result.skipped)} {what} skipped; {result.failures} failures scored {lost}", file=sys.stderr)
    return bool(result.failures or result.skipped)


@contextmanager
def _progress() -> "Iterator[Callable[[Progress], None]]":
    """A bar with the remaining time on a terminal, a line for each condition elsewhere; both on stderr."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from noisewise.safe_text import terminal

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=None)

        def show(progress: "Progress") -> None:
            failed = f" ({progress.failures} failed)" if progress.failures else ""
            shown = escape(terminal(progress.condition + failed))
            bar.update(task, completed=progress.done, total=progress.total, description=shown)

        yield show


class _Lines:
    """One line when a condition begins."""

    def __init__(self) -> None:
        self.condition = ""

    def __call__(self, progress: "Progress") -> None:
        if progress.condition != self.condition:
            self.condition = progress.condition
            print(
                f"{progress.condition}: {progress.done} of {progress.total} utterances decoded, "
                f"{progress.failures} failures",
                file=sys.stderr,
                flush=True,
            )
