"""`noisewise lm`: language models from text, their perplexity, and their weights beside a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisewise.cli.decoding import DecodingOptions, default_of

if TYPE_CHECKING:
    from noisewise.decoding.config import DecodingConfig
    from noisewise.tuning.model import TuningStep

LISTS = ("--prune", "--snr")
"""Options that take several values in a row."""


def train(
    texts: Annotated[list[Path], typer.Argument(help="Text files, one sentence a line; also .gz.")],
    output: Annotated[Path, typer.Option(help="ARPA file to write; packed when it ends in .gz.")],
    order: Annotated[int, typer.Option(help="Longest n-gram.")] = 4,
    characters: Annotated[
        bool, typer.Option("--characters", help="Letters, with | between words, instead of words.")
    ] = False,
    prune: Annotated[
        list[int] | None,
        typer.Option(help="For the orders from 1 on, drop n-grams that occur so often or less; none when absent."),
    ] = None,
    vocabulary: Annotated[int | None, typer.Option(help="Keep so many words, the most frequent.")] = None,
    classes: Annotated[
        Path | None, typer.Option(help="File of lines NAME WORD WORD ...: words that may stand for each other.")
    ] = None,
    normaliser: Annotated[
        str, typer.Option(help="Form of the text: english, german, turkish, unicode, unicode-cased, none.")
    ] = "english",
) -> None:
    """Train a modified Kneser-Ney model; the text is normalised first."""
    from noisewise.errors import NoisewiseError
    from noisewise.lm import classes as classing
    from noisewise.lm import kneser_ney
    from noisewise.text import sentences
    from noisewise.text.normalise import choose

    if not output.parent.is_dir():
        raise NoisewiseError(f"`{output}` must be in a folder, but there is no such folder; make it")
    text = sentences.read(texts, characters, choose(normaliser))
    if classes is not None:
        text = classing.named(text, classing.read(classes, choose(normaliser)))
    estimate = kneser_ney.train(text, order, prune=prune or (), vocabulary=vocabulary)
    estimate.save(output)
    counts = ", ".join(f"{len(level.log10)} {k}-grams" for k, level in enumerate(estimate.levels, start=1))
    print(f"{output}: {counts}")
    guessed = [str(k) for k, level in enumerate(estimate.levels, start=1) if not level.is_estimated]
    if guessed:
        fixed = " ".join(map(str, kneser_ney.FALLBACK))
        print(f"too little text for the discounts of order {', '.join(guessed)}: took {fixed}", file=sys.stderr)


def score(
    model: Annotated[Path, typer.Argument(help="ARPA file, also .gz, or the folder of a mixture or of a Transformer.")],
    texts: Annotated[list[Path], typer.Argument(help="Text files, one sentence a line; also .gz.")],
    characters: Annotated[
        bool, typer.Option("--characters", help="The ARPA file is over letters, with | between words.")
    ] = False,
    normaliser: Annotated[
        str, typer.Option(help="Form of the text: english, german, turkish, unicode, unicode-cased, none.")
    ] = "english",
) -> None:
    """Perplexity of a text, and how many of its words the model does not know."""
    from noisewise.inference import language_model
    from noisewise.lm import protocol as lm
    from noisewise.text import sentences
    from noisewise.text.normalise import choose

    characters = language_model.is_over_characters(model, characters)
    found = lm.measure(language_model.load(model), sentences.read(texts, characters, choose(normaliser)), characters)
    print(f"sentences             {found.sentences}")
    print(f"tokens                {found.tokens}")
    print(f"unknown               {found.unknown} ({100 * found.unknown / max(found.tokens, 1):.2f} %)")
    print(f"perplexity            {found.perplexity:.2f}")
    print(f"without the unknown   {found.known_perplexity:.2f}")
    if characters:
        print(f"per word              {found.word_perplexity:.2f}")


def mix(
    models: Annotated[list[str], typer.Argument(help="ARPA files, also .gz; FILE=CLASSES for one over classes.")],
    output: Annotated[Path, typer.Option(help="Folder to write; serves as --lm.")],
    text: Annotated[
        list[Path] | None,
        typer.Option(help="Text to fit the weights to, other than that of the training.", show_default="equal weights"),
    ] = None,
    normaliser: Annotated[
        str, typer.Option(help="Form of the text: english, german, turkish, unicode, unicode-cased, none.")
    ] = "english",
) -> None:
    """Make one model of several, for text of several kinds: each sentence is of one of them."""
    from noisewise.lm import mix as mixing
    from noisewise.text import sentences
    from noisewise.text.normalise import choose

    pairs = [each.partition("=") for each in models]
    files = [(Path(lm), Path(class_list) if class_list else None) for lm, _, class_list in pairs]
    weights = mixing.mix(files, output, sentences.read(text, normaliser=choose(normaliser)) if text else None)
    for name, weight in zip(models, weights, strict=True):
        print(f"{weight:.4f} {name}")


def tune(
    model: Annotated[str, typer.Argument(help="Folder of a model; `box` only with --output.")],
    manifest: Annotated[str, typer.Argument(help="Development set with texts; never what will be tested on.")],
    lm: Annotated[
        Path | None, typer.Option(help="Language model: ARPA, ARPA.gz, or the folder of a Transformer or a mixture.")
    ] = None,
    lm_unit: Annotated[str, typer.Option(help="What an ARPA file is over: words or characters.")] = "words",
    rescore: Annotated[
        Path | None, typer.Option(help="Second language model, like --lm: it rescores the n-best hypotheses.")
    ] = None,
    rescore_nbest: Annotated[int, typer.Option(help="Hypotheses that it rescores.")] = 20,
    lexicon: Annotated[
        Path | None, typer.Option(help="Lexicon: file of the words that may be output, one a line.")
    ] = None,
    noise: Annotated[str | None, typer.Option(help="Noise with a label column; not that of the test.")] = None,
    snr: Annotated[
        list[float] | None, typer.Option(help="Signal-to-noise ratios in dB.", show_default="0 5 10 15 20")
    ] = None,
    types: Annotated[
        str | None, typer.Option(help="Noise types, with commas between.", show_default="all there are")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Copy the model here with its decoding.", show_default="into the model's folder")
    ] = None,
    decoding: Annotated[
        str | None,
        typer.Option(
            help="beam, by CTC; of models with an attention decoder also joint and rescoring: their weights are found "
            "together with those of --lm, which may be left out.",
            show_default="what the model's folder holds",
        ),
    ] = None,
    beam: Annotated[
        int | None, typer.Option(help="Hypotheses that the search keeps.", show_default="50; with attention 8")
    ] = None,
    trials: Annotated[int, typer.Option(help="Pairs of weight and word insertion bonus that are tried.")] = 30,
    seed: Annotated[int, typer.Option(help="Seed of the noise and of the trials.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Take so many utterances, evenly spaced.")] = None,
    device: Annotated[str, typer.Option(help="Where the model runs: cpu, cuda.")] = "cpu",
    keep: Annotated[
        Path | None, typer.Option(help="Folder that keeps posteriors and trials, from which the next tuning goes on.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Tune on a split named test all the same.")] = False,
) -> None:
    """Find the weights of language models, and make them the default of a model, so that `transcribe` uses them."""
    from noisewise.config import parse
    from noisewise.decoding.config import DecodingConfig
    from noisewise.errors import NoisewiseError
    from noisewise.tuning.model import TuningConfig, tune_model

    told_unit = lm_unit if lm is not None else None
    chosen = _attending(model, DecodingOptions(decoding=decoding, beam=beam, lm=lm, lm_unit=told_unit, lexicon=lexicon))
    if chosen is not None and (rescore is not None or keep is not None):
        raise NoisewiseError("--rescore and --keep must be left out where attention takes part; take --lm")
    if chosen is None and lm is None and rescore is None:
        raise NoisewiseError("--lm or --rescore must name a language model, but neither is given; give one")
    if chosen is None:
        second = None if rescore is None else {"lm": str(rescore), "nbest": rescore_nbest}
        values = {"lm": _text(lm), "lexicon": _text(lexicon), "lm_unit": lm_unit, "rescoring": second}
        chosen = parse(DecodingConfig, {**values, "search": {"beam": beam or 50}})
    config = TuningConfig(
        model=model,
        manifest=manifest,
        decoding=chosen,
        noise=noise,
        snrs_db=snr or [0.0, 5.0, 10.0, 15.0, 20.0],
        types=[name.strip() for name in types.split(",") if name.strip()] if types else None,
        limit=limit,
        trials=trials,
        seed=seed,
        output=_text(output),
        device=device,
        keep=_text(keep),
        force=force,
    )
    result = tune_model(config, _print_step)
    if result.rescoring_dropped:
        print("rescoring is not better: left out", file=sys.stderr)
    if result.written is None:
        print("not better than greedy: nothing written", file=sys.stderr)
        raise typer.Exit(1)
    print(f"written: {result.written}")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _attending(model: str, asked: DecodingOptions) -> "DecodingConfig | None":
    """The configuration that is asked for, or that the folder has, if attention takes part in it."""
    chosen = asked.chosen(model) or default_of(model)
    return None if isinstance(chosen, str) or chosen.attention is None else chosen


def _print_step(step: "TuningStep") -> None:
    """One line for each word error rate; recordings that could not be decoded on stderr."""
    wer = f"WER {100 * step.wer:.2f} %"
    if step.kind == "greedy":
        print(f"greedy: {wer} of {step.recordings} recordings")
        if step.left_out:
            print(f"left out: {len(step.left_out)} recordings, the first because {step.left_out[0]}", file=sys.stderr)
        return
    weights = ", ".join(f"{name} {value:g}" for name, value in step.weights.items())
    print(f"{weights}: {wer}" if step.kind == "trial" else f"{step.kind}: {weights}, {wer}", flush=True)


COMMANDS = {"train": train, "score": score, "mix": mix, "tune": tune}
"""Word after the verb to its function."""
