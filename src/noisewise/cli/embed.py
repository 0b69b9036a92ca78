"""`noisewise embed MANIFEST ... --encoder E --output FOLDER`: vectors of a frozen encoder, of clips or of frames."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisewise.data.manifests.cuts import Cut

SHOWN = 5
"""Clips without a vector that are printed."""


def command(
    manifests: Annotated[list[str], typer.Argument(help="Manifests, tables or folders of audio.")],
    encoder: Annotated[
        str,
        typer.Option(
            help="box, a model folder, a folder of transformers, hf:ORGANISATION/NAME@REVISION (uses the network), or "
            "python:module:function (runs code that you trust)."
        ),
    ],
    output: Annotated[str, typer.Option(help="Folder of the store; made, or continued.")],
    pooling: Annotated[
        str | None, typer.Option(help="How frames become one vector: mean, cls or pooler; else the encoder's own.")
    ] = None,
    frames: Annotated[bool, typer.Option("--frames", help="Keep the vectors of frames.")] = False,
    normalise: Annotated[bool, typer.Option("--normalise", help="Bring vectors to length 1.")] = False,
    half: Annotated[bool, typer.Option("--half", help="Store float16.")] = False,
    window_seconds: Annotated[
        float | None, typer.Option(help="Encode longer clips in equal parts of at most this; else the encoder's own.")
    ] = None,
    batch_seconds: Annotated[float, typer.Option(min=0.001, help="Seconds of audio in a batch at most.")] = 60.0,
    shard_clips: Annotated[
        int | None, typer.Option(min=1, help="Clips in a file, which an interruption costs; else 1024, frames 256.")
    ] = None,
    quarantine: Annotated[str | None, typer.Option(help="List by `noisewise check`: clips to leave out.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what could not be read before.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Files decoded at a time.")] = 2,
    device: Annotated[str, typer.Option(help="Where the encoder runs.")] = "cpu",
) -> None:
    """Write a store of embeddings; the same command resumes an interrupted one.

    The exit status is 1 when some clips have no vector; they are in quarantine.jsonl of the store.
    """
    from pathlib import Path

    from noisewise.embeddings import encoders
    from noisewise.embeddings.extract import EmbeddingConfig, embed
    from noisewise.training.sole_writer import sole_writer

    cuts = _read(manifests, quarantine)
    chosen = encoders.load(encoder, pooling=pooling, normalise=normalise, window_seconds=window_seconds, device=device)
    config = EmbeddingConfig(
        frames=frames, half=half, batch_seconds=batch_seconds, shard_clips=shard_clips, retry=retry, workers=workers
    )
    sole_writer(Path(output))
    progress, started = _Progress(), time.monotonic()
    done = embed(cuts, chosen, output, config, progress.show)
    progress.end()
    what = f"{chosen.frame_dim} a frame" if frames else f"{chosen.dim} ({chosen.pooling})"
    print(
        f"{output}: {done.clips} new vectors of {chosen.name}, {what}, in {time.monotonic() - started:.1f} s; "
        f"{done.there} clips were done before, {len(done.unread)} have none"
    )
    for item in done.unread[:SHOWN]:
        print(f"{item.reason}: {item.id}: {item.message}", file=sys.stderr)
    if done.unread:
        raise typer.Exit(1)


def _read(manifests: list[str], quarantine: str | None) -> "list[Cut]":
    from noisewise.data.checks.quarantine import read_quarantine, without
    from noisewise.data.manifests.read import expanded, read_many

    cuts = read_many(manifests)
    return cuts if quarantine is None else without(cuts, read_quarantine(expanded(quarantine)))


class _Progress:
    """Clips that are done: on one line of a terminal, or a line every half minute in a log."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.every = 0.2 if self.terminal else 30.0
        self.started = self.shown = time.monotonic()
        self.first: int | None = None

    def show(self, done: int, total: int, failed: int) -> None:
        """Say how far it is, now and then."""
        now = time.monotonic()
        self.first = done if self.first is None else self.first
        if now - self.shown < self.every and done < total:
            return
        self.shown = now
        rate = (done - self.first) / (now - self.started)
        left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
        start, end = ("\r", "") if self.terminal else ("", "\n")
        print(f"{start}{done} of {total} clips, {failed} without a vector{left} ", end=end, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self.terminal:
            print(file=sys.stderr)
