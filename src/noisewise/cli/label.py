"""`noisewise label MANIFEST --model M --output OUT`: transcripts by recognisers for speech that has none."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisewise.evaluation.systems.protocol import NamedRecogniser
    from noisewise.labelling.criteria import Criteria
    from noisewise.labelling.label import Labels

CONFIDENCE, AGREEMENT = 0.8, 0.1
"""Bounds where none is given: of one recogniser, and of two."""


def command(
    manifest: Annotated[str, typer.Argument(help="Speech: manifest, table or folder; #split=train keeps a split.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write, .jsonl.gz.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Recogniser whose transcripts are kept, as in `noisewise evaluate`.")
    ] = "box",
    model2: Annotated[
        str | None, typer.Option(help="A second recogniser; transcripts on which both agree are kept.")
    ] = None,
    agreement: Annotated[
        float | None,
        typer.Option(
            help="Largest word error rate of the second transcript against the first.", show_default="0.1 with --model2"
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Least mean confidence of the words; enough without agreement; 0 keeps all.",
            show_default="0.8 without --model2",
        ),
    ] = None,
    log_probability: Annotated[
        float | None,
        typer.Option(
            help="Least mean logarithm of the confidences of the words; enough without agreement.", show_default="none"
        ),
    ] = None,
    words_per_second: Annotated[tuple[float, float], typer.Option(help="Lowest and highest speaking rate.")] = (
        0.2,
        6.0,
    ),
    compression_ratio: Annotated[
        float, typer.Option(help="Largest ratio of the size of a text to that of its zlib form.")
    ] = 2.4,
    repetitions: Annotated[int, typer.Option(help="Most times that a phrase may be repeated in a row.")] = 3,
    numerals: Annotated[
        bool, typer.Option("--numerals", help="Keep texts with digits, which do not say how they are spoken.")
    ] = False,
    normaliser: Annotated[
        str, typer.Option(help="Form in which texts are compared: english, german, turkish, unicode, ...")
    ] = "english",
    limit: Annotated[int | None, typer.Option(min=1, help="Number of entries, evenly spaced.")] = None,
    workers: Annotated[int, typer.Option(help="Recordings at the same time, as in `noisewise evaluate`.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds for one file, for command: and openai:.")] = 60.0,
    device: Annotated[str, typer.Option(help="Where a model runs: cpu, cuda.")] = "cpu",
    cache: Annotated[
        Path | None, typer.Option(help="Keep transcripts here, JSONL: other bounds cost no recognition.")
    ] = None,
) -> None:
    """Transcribe speech, and write the entries whose transcripts can be relied on as a manifest for training.

    What is left out is listed in OUT's NAME.rejected.jsonl with the reasons. An interrupted run goes on where it
    stopped. The exit status is 1 when recordings could not be read, or a recogniser failed on them.
    """
    from noisewise.cli.signals import ends_by_signals
    from noisewise.evaluation.systems import loading
    from noisewise.labelling.criteria import Criteria
    from noisewise.labelling.label import label
    from noisewise.text.normalise import choose

    bounded = (confidence, log_probability, agreement) != (None, None, None)
    criteria = Criteria(
        confidence=CONFIDENCE if not bounded and model2 is None else confidence,
        log_probability=log_probability,
        agreement=AGREEMENT if agreement is None and model2 is not None else agreement,
        words_per_second=words_per_second,
        compression_ratio=compression_ratio,
        repetitions=repetitions,
        keeps_numerals=numerals,
        normaliser=choose(normaliser),
    )
    models = [
        loading.load(each, workers=workers, timeout_seconds=timeout, device=device)
        for each in (model, model2)
        if each is not None
    ]
    _must_be_sure(models, criteria)
    with ends_by_signals():
        labels = label(manifest, models, output, criteria, limit=limit, cache=cache, progress=_show)
    _tell(labels, output)


def _must_be_sure(models: "list[NamedRecogniser]", criteria: "Criteria") -> None:
    from noisewise.errors import ConfigError
    from noisewise.labelling.transcription import gives_confidences

    if criteria.needs_confidences and not gives_confidences(models[0]):
        raise ConfigError(
            f"`--model` must give confidences where there is no --model2, but {models[0].name} gives none; give "
            "--model2, or --confidence 0 to keep what it says"
        )


def _tell(labels: "Labels", output: Path) -> None:
    from noisewise.labelling.criteria import REASONS
    from noisewise.labelling.label import rejected_file

    total = len(labels.kept) + len(labels.rejected)
    print(
        f"{output}: {len(labels.kept)} of {total} entries kept, {labels.kept_seconds / 60:.1f} of "
        f"{labels.seconds / 60:.1f} minutes"
    )
    for reason, count in labels.reasons.most_common():
        print(f"left out: {count} ({reason}: {REASONS[reason]})")
    if labels.rejected:
        print(f"what is left out is listed in {rejected_file(output)}")
    if labels.reasons["audio"] or labels.reasons["failed"]:
        raise typer.Exit(1)


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
