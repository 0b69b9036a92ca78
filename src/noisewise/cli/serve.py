"""`noisewise serve`: recognisers and taggers behind a port."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisewise.cli.decoding import DecodingOptions, with_decoding
from noisewise.cli.limits import chosen, with_limits

if TYPE_CHECKING:
    from noisewise.serving.service import Service

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@with_limits
@with_decoding
def command(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=MODEL, several times: `box`, the folder of a recogniser or a tagger, or a recogniser as "
            "`noisewise evaluate` takes it; the first is the default.",
            show_default="box",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for a free one.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(help="A file of API keys, one a line; NOISEWISE_API_KEY in the environment is another."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
    batch_seconds: Annotated[float, typer.Option(help="Audio that goes through a model at once.")] = 120.0,
    wait_milliseconds: Annotated[
        float, typer.Option(min=0, help="A request waits so long for others, to go through the model together.")
    ] = 5.0,
    prompt_boost: Annotated[
        float | None,
        typer.Option(
            help="Take `prompt` for hotwords with commas between them, with this boost a letter.",
            show_default="prompts are passed over",
        ),
    ] = None,
    wyoming: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Speak Wyoming too, for Home Assistant, at this port (10300 by custom)."),
    ] = None,
    stop_seconds: Annotated[
        float | None,
        typer.Option(help="After a signal, give up what is not finished within this time.", show_default="finish all"),
    ] = None,
    limits: dict[str, Any] | None = None,
    *,
    options: DecodingOptions,
) -> None:
    """Serve OpenAI's transcription API: POST /v1/audio/transcriptions, /v1/models, /health, /ready, /metrics."""
    from noisewise.config import above
    from noisewise.serving import app, keys, models, realtime, server
    from noisewise.serving import wyoming as wyoming_protocol
    from noisewise.serving.metrics import Metrics
    from noisewise.serving.service import Service

    bounds, accepted, metrics = chosen(limits or {}), keys.load(api_key_file), Metrics()
    above(0, batch_seconds=batch_seconds)
    listening = server.bound(host, port)  # before models are loaded, which takes time
    further = None if wyoming is None else server.bound(host, wyoming)
    queue = {
        "wait_seconds": wait_milliseconds / 1000,
        "batch_seconds": batch_seconds,
        "most_seconds": bounds.queue_seconds,
    }
    served = models.load(
        model or ["box"],
        device=device,
        decoding=options.chosen,
        hotwords=options.boosts(),
        queue=queue,
        observer=metrics.of_queue,
    )
    service = Service(served, bounds, accepted, metrics, prompt_boost)
    beside = [] if further is None else [wyoming_protocol.serving(service, further)]
    application = app.app(service, [realtime.route(service)], beside)
    _say(service, host, listening.getsockname()[1], None if further is None else further.getsockname()[1])
    server.run(server.made(application, bounds, stop_seconds), [listening])


def _say(service: "Service", host: str, port: int, wyoming: int | None) -> None:
    """Where it listens, and whether strangers may use it."""
    shown = f"[{host}]" if ":" in host else host
    print(f"noisewise: {', '.join(service.models.all)} at http://{shown}:{port}/v1 (Ctrl-C to stop)", file=sys.stderr)
    if wyoming is not None:
        print(f"noisewise: Wyoming at tcp://{shown}:{wyoming}, which knows no keys", file=sys.stderr)
    if host not in LOOPBACK and not service.keys:
        print(
            f"noisewise: whoever reaches {shown}:{port} may use it; set NOISEWISE_API_KEY or give --api-key-file",
            file=sys.stderr,
        )
