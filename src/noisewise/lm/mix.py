"""Make one language model of several: weights fitted to a text, and a folder with copies of all files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from noisewise.errors import DecodingError
from noisewise.files import replaced_folder
from noisewise.lm import loading, mixture


def mix(
    files: Sequence[tuple[Path, Path | None]], output: Path, sentences: Iterable[Sequence[str]] | None = None
) -> list[float]:
    """Write the mixture of several language models into a new folder, which `loading.load` reads.

    Args:
        files: of each model the ARPA file, and the list of classes if it is over such.
        output: folder to write.
        sentences: words of the text that the weights are fitted to, other than that of the training; equal weights
            where it is left out.

    Returns:
        The weight of each model, together 1.

    Raises:
        DecodingError: the folder is there already, a file cannot be used, or the text is empty.
    """
    if output.exists():
        raise DecodingError(f"--output must be a new folder, but `{output}` is there already; choose another")
    models = [loading.part(*each) for each in files]
    weights = [round(1 / len(models), 4)] * len(models) if sentences is None else mixture.fit(models, sentences)
    with replaced_folder(output) as temporary:
        mixture.write(temporary, files, weights)
    return weights
