"""The options of subtitles that several verbs share."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisewise.inference.subtitles import SubtitleConfig


@dataclass(frozen=True)
class SubtitleOptions:
    """Options of subtitles that were given; None where one was not."""

    max_line_length: Annotated[
        int | None, typer.Option(help="Subtitles: most letters of a line.", show_default="42")
    ] = None
    max_lines: Annotated[int | None, typer.Option(help="Subtitles: most lines.", show_default="2")] = None
    min_cue_seconds: Annotated[
        float | None, typer.Option(help="Subtitles: shortest time each is shown.", show_default="1")
    ] = None
    max_cue_seconds: Annotated[
        float | None, typer.Option(help="Subtitles: longest time each is shown.", show_default="6")
    ] = None
    cue_lead: Annotated[
        float | None, typer.Option(help="Subtitles: seconds before the first word.", show_default="0")
    ] = None
    cue_trail: Annotated[
        float | None, typer.Option(help="Subtitles: seconds after the last word.", show_default="0.2")
    ] = None
    cue_gap: Annotated[
        float | None, typer.Option(help="Subtitles: least seconds between two.", show_default="0.08")
    ] = None

    def chosen(self) -> "SubtitleConfig":
        """The form that was asked for.

        Raises:
            ConfigError: a value out of its range.
        """
        from noisewise.inference.subtitles import SubtitleConfig

        names = {"min_cue_seconds": "min_seconds", "max_cue_seconds": "max_seconds"}
        names |= {"cue_lead": "lead", "cue_trail": "trail", "cue_gap": "gap"}
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return SubtitleConfig(**{names.get(name, name): value for name, value in given.items() if value is not None})


def with_subtitles(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of subtitles, gathered in its parameter `subtitles`."""
    signature = inspect.signature(command)
    shared = inspect.signature(SubtitleOptions).parameters
    own = [each for each in signature.parameters.values() if each.name != "subtitles"]

    def gathered(**given: Any) -> Any:
        options = SubtitleOptions(**{name: given.pop(name) for name in shared})
        return command(**given, subtitles=options)

    parameters = [*own, *shared.values()]
    gathered.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {each.name: each.annotation for each in parameters}
    gathered.__doc__ = command.__doc__
    return gathered
