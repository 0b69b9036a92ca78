"""`noisewise lm`: language models from text, how well they foresee text, and their weights beside a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisewise.cli.decoding import DecodingOptions, default_of

if TYPE_CHECKING:
    from noisewise.decoding.config import DecodingConfig
    from noisewise.inference.recogniser import Recogniser
    from noisewise.tuning.attention import Weights
    from noisewise.tuning.ctc import HeardTexts, Trial

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
) -> None:
    """Train a modified Kneser-Ney model; the text is normalised first."""
    from noisewise.errors import NoisewiseError
    from noisewise.lm import classes as classing
    from noisewise.lm import kneser_ney
    from noisewise.text import sentences

    if not output.parent.is_dir():
        raise NoisewiseError(f"`{output}` must be in a folder, but there is no such folder; make it")
    text = sentences.read(texts, characters)
    if classes is not None:
        text = classing.named(text, classing.read(classes))
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
) -> None:
    """Perplexity of a text, and how many of its words the model does not know."""
    from noisewise.inference import language_model
    from noisewise.lm import protocol as lm
    from noisewise.text import sentences

    characters = language_model.is_over_characters(model, characters)
    found = lm.measure(language_model.load(model), sentences.read(texts, characters), characters)
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
) -> None:
    """Make one model of several, for text of several kinds: each sentence is of one of them."""
    from noisewise.errors import NoisewiseError
    from noisewise.files import replaced_folder
    from noisewise.lm import loading, mixture
    from noisewise.text import sentences

    if output.exists():
        raise NoisewiseError(f"--output must be a new folder, but `{output}` is there already; choose another")
    files = [(Path(lm), Path(listed) if listed else None) for lm, _, listed in (each.partition("=") for each in models)]
    parts = [loading.part(*each) for each in files]
    weights = mixture.fit(parts, sentences.read(text)) if text else [round(1 / len(parts), 4)] * len(parts)
    with replaced_folder(output) as temporary:
        mixture.write(temporary, files, weights)
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
        Path | None, typer.Option(help="Second language model, like --lm: it chooses among the best readings.")
    ] = None,
    rescore_nbest: Annotated[int, typer.Option(help="Readings that it chooses among.")] = 20,
    lexicon: Annotated[
        Path | None, typer.Option(help="File with the only words that may come out, one a line.")
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
            show_default="what the model's folder says",
        ),
    ] = None,
    beam: Annotated[
        int | None, typer.Option(help="Hypotheses that the search keeps.", show_default="50; with attention 8")
    ] = None,
    trials: Annotated[int, typer.Option(help="Pairs of weight and bonus that are tried.")] = 30,
    seed: Annotated[int, typer.Option(help="Of the noise and of the tries.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Take so many utterances, evenly spaced.")] = None,
    device: Annotated[str, typer.Option(help="Where the model runs: cpu, cuda.")] = "cpu",
    keep: Annotated[
        Path | None, typer.Option(help="Folder for what was heard and tried, so that the next run need not again.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Tune on a split named test all the same.")] = False,
) -> None:
    """Find the weights of language models, and make them the default of a model, so that `transcribe` uses them."""
    from dataclasses import replace

    from noisewise.checkpoints.model_folder import weights_hash
    from noisewise.config import dump, parse
    from noisewise.decoding.config import DecodingConfig
    from noisewise.errors import NoisewiseError
    from noisewise.evaluation.test_set import Speech
    from noisewise.files import sha256_of
    from noisewise.inference.recogniser import Recogniser
    from noisewise.tuning import ctc as tuning
    from noisewise.tuning.cache import TuningCache
    from noisewise.tuning.rescoring import tune_rescoring

    if not force:
        tuning.must_not_be_test(manifest)
    snrs_db = snr or [0.0, 5.0, 10.0, 15.0, 20.0]
    kinds = [name.strip() for name in types.split(",") if name.strip()] if types else None
    told_unit = lm_unit if lm is not None else None
    asked = DecodingOptions(decoding=decoding, beam=beam, lm=lm, lm_unit=told_unit, lexicon=lexicon)
    if (attending := _attending(model, asked)) is not None:
        if rescore is not None or keep is not None:
            raise NoisewiseError("--rescore and --keep must be left out where attention takes part; take --lm")
        folder = _target(model, output)
        recogniser = Recogniser.load(model, device, attending)
        heard = tuning.hear(recogniser, manifest, noise, snrs_db, types=kinds, seed=seed, limit=limit)
        _tune_attention(recogniser, heard, attending, folder, seed)
        return
    if lm is None and rescore is None:
        raise NoisewiseError("--lm or --rescore must name a language model, but neither is given; give one")
    paths = {name: None if path is None else str(path) for name, path in (("lm", lm), ("lexicon", lexicon))}
    second = None if rescore is None else {"lm": str(rescore), "nbest": rescore_nbest}
    config = parse(DecodingConfig, {**paths, "search": {"beam": beam or 50}, "lm_unit": lm_unit, "rescoring": second})
    folder = _target(model, output)
    recogniser = Recogniser.load(model, device, config)  # a language model that cannot be read is refused now
    cache = TuningCache(keep)
    spoken = [[one.id, one.text] for one in Speech.read(manifest, limit).utterances] if keep else []
    told: dict[str, object] = {"weights": weights_hash(recogniser.folder), "manifest": manifest, "spoken": spoken}
    told |= {"noise": noise, "snr": snrs_db, "types": kinds, "seed": seed}
    heard = cache.heard(
        told,
        recogniser.tokenizer,
        lambda: tuning.hear(recogniser, manifest, noise, snrs_db, types=kinds, seed=seed, limit=limit),
    )
    greedy = heard.wer(None)
    print(f"greedy: WER {100 * greedy:.2f} % of {len(heard.references)} recordings")
    best, rescoring = greedy, config.rescoring
    if lm is not None:
        config = replace(config, rescoring=None)
        files = [sha256_of(path) for path in (lm, lexicon) if path is not None]
        kept = cache.trials({**told, "config": dump(config), "files": files, "trials": trials})

        def progress(trial: "Trial") -> None:
            kept.add(trial)
            _say(trial)

        config, tried = tuning.tune(heard, config, trials=trials, seed=seed, progress=progress, done=kept.read())
        best = min(trial.wer for trial in tried)
        print(f"best: weight {config.lm_weight:g}, bonus {config.bonus:g}, WER {100 * best:.2f} %")
    if rescoring is not None:
        second_pass, wer, _ = tune_rescoring(heard, replace(config, rescoring=rescoring))
        found = second_pass.rescoring or rescoring
        print(f"rescoring: weight {found.weight:g}, bonus {found.bonus:g}, WER {100 * wer:.2f} %")
        if wer < best:
            best, config = wer, second_pass
        else:
            print("rescoring is not better: left out", file=sys.stderr)
            config = replace(config, rescoring=None)
    if best >= greedy:
        print("not better than greedy: nothing written", file=sys.stderr)
        raise typer.Exit(1)
    print(f"written: {_written(recogniser.folder, folder, config)}")


def _attending(model: str, asked: DecodingOptions) -> "DecodingConfig | None":
    """The configuration that is asked for, or that the folder has, if attention takes part in it."""
    chosen = asked.chosen(model) or default_of(model)
    return None if isinstance(chosen, str) or chosen.attention is None else chosen


def _tune_attention(
    recogniser: "Recogniser", heard: "HeardTexts", config: "DecodingConfig", folder: Path | None, seed: int
) -> None:
    """Find the weights of a search that attention takes part in, and write them."""
    from noisewise.tuning.attention import tune_attention

    greedy = heard.wer(None)
    print(f"greedy: WER {100 * greedy:.2f} % of {len(heard.references)} recordings")
    found, wer = tune_attention(heard, config, recogniser.begin, seed=seed, progress=_say_weights)
    if wer >= greedy:
        print("not better than greedy: nothing written", file=sys.stderr)
        raise typer.Exit(1)
    print(f"written: {_written(recogniser.folder, folder, found)}")


def _say_weights(weights: "Weights", wer: float) -> None:
    told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in vars(weights).items())
    print(f"{told}: WER {100 * wer:.2f} %", flush=True)


def _say(trial: "Trial") -> None:
    print(f"weight {trial.lm_weight:.2f}, bonus {trial.bonus:.2f}: WER {100 * trial.wer:.2f} %", flush=True)


def _target(model: str, output: Path | None) -> Path | None:
    """Where the decoding is written: a folder that does not exist yet, or None for that of the model.

    Raises:
        NoisewiseError: the model is not the user's own, or the folder is taken.
    """
    from noisewise.errors import NoisewiseError

    if output is None and (model == "box" or model.startswith("hf:")):
        raise NoisewiseError(f"`{model}` must stay as it is, for others use it too; give --output FOLDER for a copy")
    if output is not None and output.exists():
        raise NoisewiseError(f"--output must be a new folder, but `{output}` is there already; choose another")
    return output


def _written(model: Path, folder: Path | None, config: "DecodingConfig") -> Path:
    """Put the decoding into the folder of the model, or into a copy of it."""
    from shutil import copytree, ignore_patterns

    from noisewise.decoding import saved_config as default
    from noisewise.files import replaced_folder

    if folder is None:
        return default.write(model, config)
    with replaced_folder(folder) as temporary:
        copytree(model, temporary, dirs_exist_ok=True, ignore=ignore_patterns("__pycache__"))
        written = default.write(temporary, config)
    return folder / written.name


COMMANDS = {"train": train, "score": score, "mix": mix, "tune": tune}
"""Word after the verb to its function."""
