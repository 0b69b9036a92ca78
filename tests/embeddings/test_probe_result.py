"""Results of probes as a table and as JSON."""

import json
from pathlib import Path

from noisewise.embeddings.probe_result import FoldScore, Probe, Probes

FOLDS = [FoldScore("1", 0.5, 0.1, "2", 24, 12), FoldScore("2", 0.75, 3, "drawn", 12, 24)]
WORDS = Probe("a", "box", "linear", "accuracy", 0.6666, 0.4, 0.8123, FOLDS, 36, 2)
TAGS = Probe("b", "cat", "knn", "mean_average_precision", 0.9, 0.85, 0.95, FOLDS[:1], 12, 0)


def test_the_table_has_a_row_for_each_probe_in_percent() -> None:
    assert Probes([WORDS, TAGS]).markdown().splitlines()[2:] == [
        "| a | box | linear | accuracy 66.7 (40.0 to 81.2) | 50.0 75.0 |",
        "| b | cat | knn | mAP 90.0 (85.0 to 95.0) | 50.0 |",
    ]


def test_json_holds_every_value(tmp_path: Path) -> None:
    Probes([WORDS], {"command": "noisewise probe a", "seed": 3}).save(tmp_path / "probes.json")
    values = json.loads((tmp_path / "probes.json").read_text())
    assert values["format"] == "noisewise-probes-1"
    assert values["command"] == "noisewise probe a" and values["seed"] == 3
    (one,) = values["probes"]
    assert one["score"] == 0.6666 and one["left_out"] == 2 and one["probe"] == "linear"
    assert one["folds"][1] == {
        "fold": "2",
        "score": 0.75,
        "strength": 3,
        "held_out": "drawn",
        "train": 12,
        "test": 24,
    }
