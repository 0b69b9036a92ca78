"""`noisewise card MODEL`: the robustness of a recogniser, or a tagger, on one page."""

import os
from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="The recogniser or tagger, as given to `noisewise evaluate --model`.")],
    grid: Annotated[Path, typer.Option(help="Result of noisewise evaluate --noise.")],
    degradations: Annotated[Path, typer.Option(help="Result of noisewise evaluate --degrade.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Card, Markdown.")],
    figure: Annotated[
        Path | None, typer.Option(help="Its figure, PNG, PDF or SVG.", show_default="OUTPUT with .png")
    ] = None,
) -> None:
    """Write a card: clean recordings, noise by type and SNR, degradations, where it breaks, and one score."""
    from noisewise.reports import card as cards
    from noisewise.reports.figure import plot_card
    from noisewise.reports.per_item import read

    card = cards.make(model, read(grid), read(degradations))
    picture = figure or output.with_suffix(".png")
    for path in (output, picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    plot_card(card.noise, card.degraded, picture, card.measure)
    seen = Path(os.path.relpath(picture, output.parent)).as_posix()
    output.write_text(cards.markdown(card, seen), encoding="utf-8")
    print(f"{card.name}: {card.score:.1f} of 100 ({card.interval.low:.1f} to {card.interval.high:.1f}), {output}")
