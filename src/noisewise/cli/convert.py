"""`noisewise convert SOURCE OUT`: a model of transformers, CTranslate2 or fairseq as one of noisewise, and back."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisewise.checkpoints.foreign.checkpoint import Checkpoint


def command(
    source: Annotated[
        str, typer.Argument(help="A folder of transformers or CTranslate2, a .pt file of fairseq, or a model folder.")
    ],
    output: Annotated[Path | None, typer.Argument(help="A new folder; may be left out with --check.")] = None,
    to: Annotated[str, typer.Option(help="noisewise, huggingface or ctranslate2 (faster-whisper).")] = "noisewise",
    precision: Annotated[
        str, typer.Option(help="Type of the weights: float32, float16 or int8 (not of huggingface).")
    ] = "float32",
    dictionary: Annotated[
        Path | None, typer.Option(help="Letters of a fairseq model; default: dict.ltr.txt beside it.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Language of a model of many, such as MMS: that of an adapter beside it.",
            show_default="that of its tokenizer",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare the outputs with those of transformers.")] = False,
    audio: Annotated[
        list[Path] | None, typer.Option(help="A recording for --check; default: the bundled ones.")
    ] = None,
) -> None:
    """Convert a model, or check it. Exit status 1 when the check finds a difference of more than rounding."""
    from noisewise.checkpoints import convert, model_folder
    from noisewise.errors import InteropError

    if to not in convert.LAYOUTS:
        raise InteropError(f"--to must be one of {', '.join(convert.LAYOUTS)}, but is '{to}' instead")
    if precision not in model_folder.PRECISIONS:
        raise InteropError(
            f"--precision must be one of {', '.join(model_folder.PRECISIONS)}, but is '{precision}' instead"
        )
    if output is None and not check:
        raise InteropError("`OUT` must be given, but is missing; or ask for --check alone")
    checkpoint = convert.read(source, dictionary, language)
    if checkpoint.left_out:
        print(f"noisewise: left out of {source}: {', '.join(checkpoint.left_out)}", file=sys.stderr)
    if output is not None:
        convert.write(checkpoint, output, to, precision)
        print(output)
    if check and "do_normalize" in checkpoint.origin.get("guessed", ()):
        state = "on" if getattr(checkpoint.config, "normalise", False) else "off"
        print(
            f"noisewise: {source} has no values of a feature extractor: whether inputs are normalised ({state}) is a "
            "guess, which --check cannot compare",
            file=sys.stderr,
        )
    if check and not _agrees(checkpoint, audio or _bundled()):
        raise typer.Exit(1)


def _bundled() -> list[Path]:
    import noisewise

    return sorted((Path(noisewise.__file__).parent / "assets" / "recordings").glob("*.flac"))


def _agrees(checkpoint: "Checkpoint", files: list[Path]) -> bool:
    """Print the largest difference on every recording; True when all are rounding."""
    from noisewise.audio import waveform
    from noisewise.checkpoints.foreign import parity

    found: list[Any] = parity.compare(checkpoint, [waveform.load(file) for file in files])
    what = "features" if checkpoint.head is None and checkpoint.whole is None else "logits"
    for file, each in zip(files, found, strict=True):
        print(f"{file.name}  {each.seconds:.1f} s  {what} differ by {each.difference:.1e}  best {each.same_best:.2%}")
    agrees = all(each.agrees for each in found)
    print(f"{'agrees with' if agrees else 'DIFFERS from'} transformers within {parity.TOLERANCE:g}")
    return agrees
