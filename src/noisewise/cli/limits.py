"""The options of the bounds of a server."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisewise.serving.limits import Limits

OPTIONS: dict[str, tuple[Any, str, str]] = {
    "upload_megabytes": (float, "size of a request, in MiB", "100"),
    "spool_megabytes": (float, "size of all requests that are received or decoded at a time, in MiB", "4096"),
    "declared_seconds": (float, "length of a recording by its header", "3600"),
    "decoded_seconds": (float, "length of a recording as decoded", "3600"),
    "decoded_samples": (int, "samples of a recording, times its channels", "1000000000"),
    "header_bytes": (int, "size of the head of a request", "16384"),
    "header_seconds": (float, "time for the head of a request", "10"),
    "upload_seconds": (float, "time for its body", "120"),
    "request_seconds": (float, "time from its head to the end of the answer", "600"),
    "sockets": (int, "open connections", "1000"),
    "requests": (int, "requests at a time", "256"),
    "queue_seconds": (float, "audio that waits for a model", "7200"),
    "decoders": (int, "recordings that are decoded at a time", "2"),
    "fields": (int, "fields of a form", "100"),
    "most_hotwords": (int, "hotwords of a request", "200"),
    "sessions": (int, "sessions of live recognition", "64"),
    "session_seconds": (float, "audio of a session that waits to be committed", "300"),
    "idle_seconds": (float, "time without a message in a session", "300"),
}
"""Field of `Limits` to its type, its help and its default."""


def with_limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of bounds, gathered in its parameter `limits`: what was given, by name."""
    signature = inspect.signature(command)
    own = [each for each in signature.parameters.values() if each.name != "limits"]

    def gathered(**given: Any) -> Any:
        limits = {name: value for name in OPTIONS if (value := given.pop(name)) is not None}
        return command(**given, limits=limits)

    parameters = [*own, *map(_parameter, OPTIONS)]
    gathered.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {each.name: each.annotation for each in parameters}
    gathered.__doc__ = command.__doc__
    return gathered


def chosen(limits: dict[str, Any]) -> "Limits":
    """The bounds that were asked for.

    Raises:
        ConfigError: a value out of its range.
    """
    from noisewise.serving.limits import Limits

    return Limits(**limits)


def _parameter(name: str) -> inspect.Parameter:
    kind, text, default = OPTIONS[name]
    option = typer.Option(help=f"Limit: {text}.", show_default=default)
    annotation: Any = Annotated[float | None, option] if kind is float else Annotated[int | None, option]
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)
