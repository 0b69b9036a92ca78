"""The metrics that tables, cards and figures show."""

from dataclasses import dataclass

from noisewise.evaluation.result import GridResult


@dataclass(frozen=True)
class Metric:
    """A rate of a result."""

    key: str
    """Name in `noisewise.evaluation.result.Rates`."""
    short: str
    """Name in the head of a table."""
    name: str
    """Name on the axis of a figure."""
    rises: bool = False
    """Whether more is better."""


WER = Metric("wer", "WER", "word error rate")
ACCURACY = Metric("accuracy", "accuracy", "accuracy", rises=True)
MAP = Metric("mean_average_precision", "mAP", "mean average precision", rises=True)


def shown(result: GridResult) -> list[Metric]:
    """Metrics of a result that are given with an interval, the main one first."""
    return [metric for metric in (WER, ACCURACY, MAP) if metric.key in result.clean.rates]
