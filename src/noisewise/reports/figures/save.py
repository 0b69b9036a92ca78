"""Write figures."""

from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure

from noisewise.errors import EvaluationError

rcParams["text.parse_math"] = False  # a `$` in a name is a dollar


def save(figure: Figure, path: str | Path, dpi: int = 150) -> None:
    """Write a figure in the format that the suffix names.

    Raises:
        EvaluationError: matplotlib does not know the format.
    """
    try:
        figure.savefig(path, dpi=dpi)
    except ValueError as error:
        raise EvaluationError(f"`{path}` must end in a format such as .png, .pdf or .svg, but: {error}") from error
