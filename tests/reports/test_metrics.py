"""Which metrics a result shows."""

from typing import Any

from noisewise.evaluation.conditions import CLEAN
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult, PerItem, Rate, Row
from noisewise.reports.metrics import ACCURACY, MAP, WER, shown


def result(*metrics: str, **values: Any) -> GridResult:
    clean = Row(CLEAN, {name: Rate(0.5, [0.4, 0.6]) for name in metrics}, {}, 0, 0, "")
    return GridResult("recognition", GridConfig(manifest=""), 0, 0, 0.0, clean, [], {}, PerItem([], [], [], {}))


def test_the_main_metric_comes_first() -> None:
    assert shown(result("mean_utterance_wer", "cer", "wer")) == [WER]
    assert shown(result("mean_average_precision", "accuracy")) == [ACCURACY, MAP]
    assert shown(result("mean_average_precision")) == [MAP]
    assert not WER.rises and ACCURACY.rises and MAP.rises
