"""`noisewise lm train` and `noisewise lm score`: n-gram language models from text, and how well they foresee text."""

import sys
from pathlib import Path
from typing import Annotated

import typer

LISTS = ("--prune",)
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
) -> None:
    """Train a modified Kneser-Ney model; the text is normalised first."""
    from noisewise.config import NoisewiseError
    from noisewise.decoding import kneser_ney
    from noisewise.text import sentences

    if not output.parent.is_dir():
        raise NoisewiseError(f"`{output}` must be in a folder, but there is no such folder; make it")
    estimate = kneser_ney.train(sentences.read(texts, characters), order, prune=prune or (), vocabulary=vocabulary)
    estimate.save(output)
    counts = ", ".join(f"{len(level.log10)} {k}-grams" for k, level in enumerate(estimate.levels, start=1))
    print(f"{output}: {counts}")
    guessed = [str(k) for k, level in enumerate(estimate.levels, start=1) if not level.is_estimated]
    if guessed:
        fixed = " ".join(map(str, kneser_ney.FALLBACK))
        print(f"too little text for the discounts of order {', '.join(guessed)}: took {fixed}", file=sys.stderr)


def score(
    model: Annotated[Path, typer.Argument(help="ARPA file; also .gz.")],
    texts: Annotated[list[Path], typer.Argument(help="Text files, one sentence a line; also .gz.")],
    characters: Annotated[
        bool, typer.Option("--characters", help="The model is over letters, with | between words.")
    ] = False,
) -> None:
    """Perplexity of a text, and how many of its words the model does not know."""
    from noisewise.decoding import lm
    from noisewise.text import sentences

    found = lm.measure(lm.load(model), sentences.read(texts, characters))
    print(f"sentences             {found.sentences}")
    print(f"tokens                {found.tokens}")
    print(f"unknown               {found.unknown} ({100 * found.unknown / max(found.tokens, 1):.2f} %)")
    print(f"perplexity            {found.perplexity:.2f}")
    print(f"without the unknown   {found.known_perplexity:.2f}")


COMMANDS = {"train": train, "score": score}
"""Word after the verb to its function."""
