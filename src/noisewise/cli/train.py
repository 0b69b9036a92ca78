"""`noisewise train RECIPE key=value ...`: train a recipe, or resume its run."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisewise.training.loop import Progress


def command(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe (YAML); see recipes/.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="Values to change, as key.path=value.")] = None,
    output: Annotated[Path | None, typer.Option(help="The run's folder; default runs/<recipe name>.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the whole configuration and stop.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes and stop.")] = False,
) -> None:
    """Train a model. The same command on the same folder resumes an interrupted run exactly.

    The exit status is 130 after Ctrl-C and 143 after SIGTERM; either saves first.
    """
    import json

    from noisewise import config
    from noisewise.errors import ConfigError
    from noisewise.fine_tune import load_recipe
    from noisewise.recipe import Recipe
    from noisewise.run import train

    if schema:
        print(json.dumps(config.schema(Recipe), indent=2))
        return
    if recipe is None:
        raise ConfigError("`RECIPE` must be given, but is missing; see recipes/ for examples")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    chosen = load_recipe(recipe, overrides or [])
    if show:
        print(config.dump_yaml(chosen), end="")
        return
    folder = output or Path("runs") / recipe.stem
    with _Bar(chosen.run.steps) as bar:
        metrics = train(chosen, folder, bar.update)
        best = bar.best
    print(json.dumps({"folder": str(folder), "validation": "last", **metrics, **best}))


class _Bar:
    """Progress with remaining time: a bar on a terminal, a line now and then in a log."""

    def __init__(self, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self.plain = not console.is_terminal
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.progress = Progress(*columns, console=console, disable=self.plain)
        self.task = self.progress.add_task("starting", total=steps)
        self.best: dict[str, float] = {}

    def __enter__(self) -> "_Bar":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def update(self, progress: "Progress") -> None:
        """Show a report of the loop."""
        if progress.best:
            self.best = {f"best_{progress.best[0]}": progress.best[1], "best_step": progress.best[2]}
        if progress.is_validation:
            self._show_validation(progress)
            return
        values = {**progress.terms, **{f"validation {name}": value for name, value in progress.metrics.items()}}
        terms = "  ".join(f"{name} {value:.3f}" for name, value in values.items())
        pace = f"{progress.audio_per_second:.0f} s of audio/s  " if progress.audio_per_second else ""  # not of text
        text = f"{_left(progress.seconds_left)} left  {pace}{terms}"
        if self.plain:
            self._print(f"step {progress.step}/{progress.steps}  {text}")
        self.progress.update(self.task, completed=progress.step, description=text)

    def _show_validation(self, progress: "Progress") -> None:
        """Metrics of a validation, learning curves, and a few hypotheses beside their references."""
        from noisewise.training.log import sparkline

        metrics = "  ".join(f"{name} {value:.3f}" for name, value in progress.metrics.items())
        which = "last validation" if progress.is_last else "validation"
        best = f"  best {progress.best[0]} {progress.best[1]:.3f} at step {progress.best[2]}" if progress.best else ""
        self._print(
            f"{which}, step {progress.step}/{progress.steps}: {metrics}{best}  {_left(progress.seconds_left)} left"
        )
        for name, values in progress.curves.items():
            if len(values) > 1:
                self._print(f"  {name:<10} {sparkline(values)}  {values[0]:.3f} to {values[-1]:.3f}")
        for reference, hypothesis in progress.examples:
            self._print(f"  reference  {reference}\n  hypothesis {hypothesis}")

    def _print(self, text: str) -> None:
        if self.plain:
            print(text, file=sys.stderr, flush=True)
        else:
            self.progress.console.print(text, markup=False, highlight=False)


def _left(seconds: float) -> str:
    """Remaining time, in a unit that fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
