"""`noisewise compare`: results of several recognisers, or taggers, beside one another."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer


def command(
    results: Annotated[list[Path], typer.Argument(help="Results of `noisewise evaluate`, the baseline first.")],
    names: Annotated[str | None, typer.Option(help="Names of the systems, with commas between.")] = None,
    bootstrap: Annotated[
        str,
        typer.Option(
            help="What is resampled: utterance (clip), speaker (source), hierarchical (both), a column that the "
            "results hold, or auto: speakers where ten or more are named."
        ),
    ] = "auto",
    samples: Annotated[int, typer.Option(help="Number of bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the resamples.")] = 0,
    utterances: Annotated[int, typer.Option(help="Number of greatest wins and of greatest losses to list.")] = 0,
    markdown: Annotated[Path | None, typer.Option(help="Also write the tables here, Markdown.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write the tables here, LaTeX.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write every number here, CSV.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Also draw error rates over SNR here, PNG, PDF or SVG.")] = None,
) -> None:
    """Compare recognisers, or taggers, on the same mixtures: differences, intervals, tests, and where."""
    if figure is not None:
        import_module("noisewise.reports.figures.comparison")  # a missing extra is found first
    from noisewise.evaluation.result import GridResult
    from noisewise.files import replaced
    from noisewise.reports import comparison_table
    from noisewise.reports.comparison import compare

    grids = [GridResult.load(path) for path in results]
    chosen = [name.strip() for name in names.split(",")] if names else None
    comparison = compare(grids, chosen, unit=bootstrap, samples=samples, seed=seed)
    text = comparison_table.markdown(comparison, utterances)
    if figure is not None:
        from noisewise.reports.figures.comparison import plot_comparison

        plot_comparison(comparison, figure)
    for path, written in (
        (markdown, text),
        (latex, comparison_table.latex(comparison)),
        (csv, comparison_table.comma_separated(comparison)),
    ):
        if path is not None:
            with replaced(path) as file:
                file.write(written)
    print(text, end="")
