"""Results of the formats before `noisewise-grid-2`, read as those of today.

`noisewise-grid-1` (words) and `noisewise-tagging-grid-1` (tags) had fields of their own for each metric. A degradation
stood in `noise_type`, its level in `snr_db`, and `axis` told them from noise. What was measured stood in the command
alone.
"""

import shlex
from dataclasses import asdict
from typing import Any

from noisewise.evaluation.conditions import CLEAN, Condition, degraded_by, in_noise

WORDS, TAGS = "noisewise-grid-1", "noisewise-tagging-grid-1"
FORMATS = (WORDS, TAGS)
ERRORS = ("S", "D", "I", "words")


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """Plain values of `noisewise-grid-2` from those of an older format.

    Raises:
        KeyError: a value is missing.
    """
    words = values["format"] == WORDS
    degraded = values.get("axis") == "level"
    rows = [_row(row, degraded) for row in (values["clean"], *values["cells"])]
    return {
        "task": "recognition" if words else "tagging",
        "config": _config(values, [row["condition"] for row in rows[1:]], degraded),
        "items": values["utterances" if words else "clips"],
        "groups": values["speakers" if words else "groups"],
        "seconds": values["seconds"],
        "clean": rows[0],
        "cells": rows[1:],
        "averages": {name: _average(one) for name, one in values["averages"].items()},
        "per_item": _utterances(values["per_utterance"]) if words else _clips(values["per_clip"]),
        "normaliser": values["normaliser"] if words else "",
        "classes": 0 if words else values["classes"],
        "system": values.get("recogniser", ""),
        "system_details": values.get("recogniser_details", {}),
        **{name: values[name] for name in ("skipped", "command", "versions") if name in values},
    }


def _config(values: dict[str, Any], conditions: list[dict[str, Any]], degraded: bool) -> dict[str, Any]:
    options = shlex.split(values.get("command", ""))

    def option(name: str) -> str | None:
        return options[options.index(name) + 1] if name in options else None

    limit, types = option("--limit"), option("--types")
    levels: dict[str, list[float]] = {}
    for one in conditions if degraded else []:
        levels.setdefault(one["name"], []).append(one["value"])
    return {
        "manifest": values.get("manifest", ""),
        "noise": values.get("noise"),
        "types": types.split(",") if types else [],
        "snrs_db": [] if degraded else values["snr_db"],
        "levels": levels,
        "label_column": option("--label-column") or "label",
        "seed": values["seed"],
        "limit": None if limit is None else int(limit),
        "bootstrap_unit": values["bootstrap"]["unit"],
        "bootstrap_samples": values["bootstrap"]["samples"],
    }


def _row(row: dict[str, Any], degraded: bool) -> dict[str, Any]:
    return {
        "condition": asdict(_condition(row, degraded)),
        "rates": _rates(row),
        "counts": {name: row[name] for name in ERRORS if name in row},
        **{name: row[name] for name in ("failures", "scaled", "mixture_sha256")},
    }


def _condition(row: dict[str, Any], degraded: bool) -> Condition:
    if row["noise_type"] is None:
        return CLEAN
    return (degraded_by if degraded else in_noise)(row["noise_type"], row["snr_db"])


def _average(one: dict[str, Any]) -> dict[str, Any]:
    return {"rates": _rates(one), "cells": one["cells"], "names": one["noise_types"]}


def _rates(one: dict[str, Any]) -> dict[str, Any]:
    if "wer" in one:
        others = {name: {"value": one[name]} for name in ("cer", "mean_utterance_wer")}
        return {"wer": {"value": one["wer"], "ci": one["ci"]}, **others}
    return {name: one[name] for name in ("accuracy", "mean_average_precision") if one[name] is not None}


def _utterances(each: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in each.items() if name != "speakers"}
    return {**kept, "groups": each["speakers"]}


def _clips(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "ids": each["ids"],
        "groups": each["groups"],
        "words": [1] * len(each["ids"]),
        "errors": {name: [1 - right for right in found] for name, found in each["right"].items()},
        "references": each["labels"],
        "hypotheses": each.get("best"),
        "failures": each.get("failures", {}),
    }
