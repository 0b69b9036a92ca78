"""`noisewise card MODEL`: the robustness of a recogniser, or a tagger, on one page."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="The recogniser or tagger, as given to `noisewise evaluate --model`.")],
    grid: Annotated[Path, typer.Option(help="Result of noisewise evaluate --noise.")],
    degradations: Annotated[Path, typer.Option(help="Result of noisewise evaluate --degrade.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The card, Markdown.")],
    numbers: Annotated[
        Path | None,
        typer.Option(
            help="Its numbers as JSON; `noisewise serve` shows those of `card.json` in a model's folder.",
            show_default="none",
        ),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Figure of the card, PNG, PDF or SVG.", show_default="OUTPUT with .png")
    ] = None,
) -> None:
    """Write a card: clean recordings, noise by type and SNR, degradations, where it breaks, and one score."""
    from noisewise.evaluation.result import GridResult
    from noisewise.files import replaced
    from noisewise.reports import card as cards
    from noisewise.reports.figures.grid import plot_card

    card = cards.make(model, GridResult.load(grid), GridResult.load(degradations))
    picture = figure or output.with_suffix(".png")
    for path in (output, picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    plot_card(card.noise, card.degraded, picture)
    address = Path(os.path.relpath(picture, output.parent)).as_posix()
    with replaced(output) as file:
        file.write(cards.markdown(card, address))
    if numbers is not None:
        with replaced(numbers) as file:
            file.write(json.dumps(cards.numbers(card), indent=2) + "\n")
    print(f"{card.name}: {card.score:.1f} of 100 ({card.interval.low:.1f} to {card.interval.high:.1f}), {output}")
