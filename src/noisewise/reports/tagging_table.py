"""Tables of the grid of a tagger: noise types by SNR, one for accuracy, one for mean average precision."""

from noisewise.evaluation.tagging_result import TaggingResult
from noisewise.reports.tables import Measure, as_latex, as_markdown, one_measure

ACCURACY = Measure("accuracy", "accuracy", lambda row: row.accuracy.value, lambda row: row.accuracy.ci, rises=True)
MAP = Measure(
    "mAP",
    "mean average precision",
    lambda row: row.mean_average_precision.value,
    lambda row: row.mean_average_precision.ci,
    rises=True,
)


def measures(result: TaggingResult) -> list[Measure]:
    """The rates that a result has."""
    return [MAP] if result.clean.accuracy is None else [ACCURACY, MAP]


def markdown(result: TaggingResult) -> str:
    """A table for each rate, in Markdown; in percent."""
    return "\n".join(as_markdown(one_measure(result, measure)) for measure in measures(result))


def latex(result: TaggingResult) -> str:
    """The same as LaTeX `tabular`s with booktabs rules."""
    return "\n".join(as_latex(one_measure(result, measure)) for measure in measures(result))
