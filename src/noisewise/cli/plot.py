"""`noisewise plot FILE`: the features of speech in one figure."""

from pathlib import Path
from typing import Annotated

import typer

MAX_SECONDS = 600.0
"""More than this cannot be seen in one figure."""


def command(
    file: Annotated[str, typer.Argument(help="Audio file.")],
    output: Annotated[
        Path | None, typer.Option(help="Picture to write (png, pdf, svg); default: FILE's name here, as png.")
    ] = None,
    offset: Annotated[float, typer.Option(help="Where to start, in seconds.")] = 0.0,
    duration: Annotated[float | None, typer.Option(help="How much to draw, in seconds.")] = None,
) -> None:
    """Draw waveform, spectrogram, log-mel and MFCC of a recording over one time axis."""
    from noisewise.audio import waveform
    from noisewise.errors import NoisewiseError
    from noisewise.reports.figures.features import plot_features

    if offset < 0 or (duration is not None and duration <= 0):
        raise NoisewiseError(
            f"--offset must be 0 or more and --duration more than 0 seconds, but are {offset:g} and {duration}"
        )
    samples = waveform.load(file, offset=offset, duration=duration, max_seconds=MAX_SECONDS, allow_silent=True)
    path = output or Path(Path(file).stem + ".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    plot_features(samples, path, title=Path(file).name)
    print(path)
