"""Results of the first formats are read as those of today."""

import json
from pathlib import Path
from typing import Any

import pytest

from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import degraded_by, in_noise
from noisewise.evaluation.result import GridResult
from noisewise.reports.tables import markdown

ABOUT = {
    "seed": 3,
    "bootstrap": {"unit": "speaker", "samples": 50, "level": 0.95},
    "manifest": "an4",
    "noise": "noise",
    "recogniser": "box",
    "recogniser_details": {"weights_sha256": "w"},
    "skipped": [{"id": "u9", "reason": "silent"}],
    "command": "noisewise evaluate an4 --model box --noise noise --types car --limit 2 --label-column sound",
    "axis": "snr_db",
    "versions": {"python": "3"},
}
CLEAN_ROW = {"noise_type": None, "snr_db": None, "failures": 0, "scaled": 0, "mixture_sha256": "c"}
NOISY_ROW = {"noise_type": "car", "snr_db": 5.0, "failures": 1, "scaled": 2, "mixture_sha256": "n"}
WER = {"wer": 0.25, "cer": 0.2, "ci": [0.1, 0.4], "mean_utterance_wer": 0.3}
COUNTS = {"S": 1, "D": 0, "I": 0, "words": 4}
SHARES = {"accuracy": {"value": 0.5, "ci": [0.0, 1.0]}, "mean_average_precision": {"value": 0.75, "ci": [0.5, 1.0]}}


def words() -> dict[str, Any]:
    return {
        "format": "noisewise-grid-1", **ABOUT, "normaliser": "noisewise-en-1", "snr_db": [5.0], "noise_types": ["car"],
        "utterances": 2, "speakers": 1, "seconds": 2.5, "clean": {**CLEAN_ROW, **WER, **COUNTS},
        "cells": [{**NOISY_ROW, **WER, **COUNTS}], "averages": {"car": {**WER, "cells": 1, "noise_types": ["car"]}},
        "per_utterance": {
            "ids": ["u0", "u1"], "speakers": ["s", "s"], "words": [2, 2],
            "errors": {"clean": [1, 0], "car@5": [0, 1]}, "failures": {"car@5": {"u1": "slow"}},
        },
    }  # fmt: skip


def tags() -> dict[str, Any]:
    return {
        "format": "noisewise-tagging-grid-1", **ABOUT, "snr_db": [5.0], "noise_types": ["car"], "classes": 3,
        "clips": 2, "groups": 2, "seconds": 2.5, "clean": {**CLEAN_ROW, **SHARES}, "cells": [{**NOISY_ROW, **SHARES}],
        "averages": {"car": {**SHARES, "cells": 1, "noise_types": ["car"]}},
        "per_clip": {
            "ids": ["c0", "c1"], "groups": ["r0", "r1"], "labels": ["dog", "sea"],
            "right": {"clean": [1, 0], "car@5": [0, 1]}, "best": {"clean": ["dog", "dog"], "car@5": ["sea", "sea"]},
        },
    }  # fmt: skip


def test_words() -> None:
    found = GridResult.parse(words())
    assert (found.task, found.items, found.groups, found.normaliser) == ("recognition", 2, 1, "noisewise-en-1")
    assert (found.system, found.system_details) == ("box", {"weights_sha256": "w"})
    config = found.config
    assert (config.manifest, config.noise, config.types, config.snrs_db) == ("an4", "noise", ["car"], [5.0])
    assert (config.seed, config.limit, config.bootstrap_unit, config.bootstrap_samples) == (3, 2, "speaker", 50)
    row = found.cell("car", 5)
    assert row.condition == in_noise("car", 5) and row.counts == COUNTS and row.failures == 1
    assert (row.wer, row.ci("wer"), row.value("cer"), row.value("mean_utterance_wer")) == (0.25, (0.1, 0.4), 0.2, 0.3)
    assert found.averages["car"].names == ["car"] and found.per_item.groups == ["s", "s"]
    assert found.per_item.references is None and found.per_item.failures == {"car@5": {"u1": "slow"}}
    assert GridResult.parse(found.plain()) == found


def test_tags() -> None:
    found = GridResult.parse(tags())
    assert (found.task, found.items, found.groups, found.classes) == ("tagging", 2, 2, 3)
    assert found.cell("car", 5).accuracy == 0.5 and found.config.label_column == "sound"
    assert found.per_item.errors == {"clean": [0, 1], "car@5": [1, 0]} and found.per_item.words == [1, 1]
    assert found.per_item.references == ["dog", "sea"]
    several = tags()
    for row in (several["clean"], *several["cells"], *several["averages"].values()):
        row["accuracy"] = None
    assert list(GridResult.parse(several).clean.rates) == ["mean_average_precision"]


def test_levels_of_degradations_were_called_ratios() -> None:
    values = words()
    values |= {"axis": "level", "noise": None, "noise_types": ["clip"], "snr_db": [6.0]}
    values["cells"][0] |= {"noise_type": "clip", "snr_db": 6.0}
    values["averages"] = {"clip": {**WER, "cells": 1, "noise_types": ["clip"]}}
    values["per_utterance"]["errors"] = {"clean": [1, 0], "clip@6": [0, 1]}
    found = GridResult.parse(values)
    assert found.cells[0].condition == degraded_by("clip", 6)
    assert (found.config.levels, found.noise_types, found.snrs_db) == ({"clip": [6.0]}, [], [])


@pytest.mark.parametrize("missing", ["clean", "averages", "per_utterance", "bootstrap", "snr_db"])
def test_what_is_not_whole_is_refused(missing: str) -> None:
    values = words()
    del values[missing]
    with pytest.raises(EvaluationError, match="must be whole"):
        GridResult.parse(values)


def test_every_stored_result_is_read() -> None:
    """Those under results/, and the grids in records of runs."""
    found = 0
    for path in sorted((Path(__file__).parents[2] / "results").rglob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        form = str(values.get("format", "")) if isinstance(values, dict) else ""
        if "grid" in form:
            assert markdown([GridResult.load(path)]).startswith("|")
            found += 1
        elif form == "noisewise-run-1" and values["grid"] is not None:
            assert GridResult.parse({"format": "noisewise-grid-1", **values["grid"]}).config.manifest
            found += 1
    assert found > 10
