"""Results as JSON: what is written is read back, what is not one is refused."""

import json
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from noisewise.errors import EvaluationError, NoisewiseError
from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import FORMAT, GridResult, Skipped
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise


@pytest.fixture
def result() -> GridResult:
    utterances = [Utterance("u[0, 1]", "s", "A B", 1.0), Utterance("u1", "s", "C", 1.5)]
    cells = [
        TextCell(CLEAN, ["A B", "C"], {}, 0, "00"),
        TextCell(in_noise("car", 5.0), ["A", "ÉTÉ [1, 2]"], {"u1": "slow"}, 1, "ff"),
    ]
    result = summarise(utterances, cells, GridConfig(manifest="$NOISEWISE_DATA/an4"))
    return replace(result, skipped=[Skipped("u2", "empty")], versions={"python": "3"})


def test_a_file_is_read_back(result: GridResult, tmp_path: Path) -> None:
    result.save(tmp_path / "new" / "result.json")
    found = GridResult.load(tmp_path / "new" / "result.json")
    assert found.per_item == result.per_item
    assert found.skipped == result.skipped and found.config == result.config
    assert found.cell("car", 5).wer == pytest.approx(result.cell("car", 5).wer, abs=1e-6)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result.json"]


def test_the_file_says_what_it_is_and_has_the_promised_keys(result: GridResult, tmp_path: Path) -> None:
    result.save(tmp_path / "result.json")
    text = (tmp_path / "result.json").read_text()
    values = json.loads(text)
    assert values["format"] == FORMAT == "noisewise-grid-2"
    promised = "task config system normaliser clean cells averages per_item"
    assert set([*promised.split(), "command", "versions"]) <= values.keys()
    assert values["clean"]["rates"].keys() == {"wer", "cer", "mean_utterance_wer"}
    assert values["clean"]["counts"].keys() == {"S", "D", "I", "words"}
    assert values["cells"][0]["condition"] == {"kind": "noise", "name": "car", "value": 5.0, "unit": "dB"}
    assert "[2, 1]" in text, "numbers of a list stand on one line"


def test_transcripts_can_be_left_out(result: GridResult, tmp_path: Path) -> None:
    result.without_transcripts().save(tmp_path / "result.json")
    found = GridResult.load(tmp_path / "result.json").per_item
    assert found.references is None and found.hypotheses is None
    assert found.errors == result.per_item.errors


def test_a_cell_that_is_not_there(result: GridResult) -> None:
    with pytest.raises(KeyError, match="car@7"):
        result.cell("car", 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[1]", "but has None instead"),
        ('{"format": "other"}', "but has 'other' instead"),
        ('{"format": "noisewise-grid-2", "items": 0}', "must be whole"),
        ('{"format": "noisewise-grid-1", "seed": 0}', "must be whole"),
    ],
)
def test_other_files_are_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NoisewiseError, match=message):
        GridResult.load(path)


@pytest.mark.parametrize("name", ["a\udcff", "b\x85\u2028c", "d\x1b[2J"])
def test_names_of_any_bytes_are_written_and_read_back(name: str, result: GridResult, tmp_path: Path) -> None:
    named = replace(result, system=name, per_item=replace(result.per_item, ids=[name] * len(result.per_item.ids)))
    named.save(tmp_path / "a.json")
    found = GridResult.load(tmp_path / "a.json")
    assert found.system == name and found.per_item.ids == named.per_item.ids
    assert not set("\x1b\x85\u2028") & set((tmp_path / "a.json").read_text(encoding="utf-8"))


def test_a_result_shows_no_key(result: GridResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-SECRETSECRET0123456789")
    replace(result, command="x --model openai:http://a/sk-SECRETSECRET0123456789").save(tmp_path / "a.json")
    assert "SECRET" not in (tmp_path / "a.json").read_text()


def test_json_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(NoisewiseError, match="must be a JSON file"):
        GridResult.load(tmp_path / "deep.json")


HOSTILE: dict[str, tuple[list[Any], Any]] = {
    "interval of one number": (["clean", "rates", "wer", "ci"], [0.1]),
    "interval of three numbers": (["averages", "car", "rates", "wer", "ci"], [0.1, 0.2, 0.3]),
    "rate that is not a number": (["cells", 0, "rates", "wer", "value"], float("nan")),
    "metric that is missing": (["averages", "all", "rates"], {}),
    "fewer ids": (["per_item", "ids"], ["u0"]),
    "more errors": (["per_item", "errors", "car@5"], [0, 1, 2]),
    "fewer hypotheses": (["per_item", "hypotheses", "clean"], []),
    "condition without errors": (["per_item", "errors"], {"clean": [0, 0]}),
    "count that no array holds": (["per_item", "errors", "clean"], [10**30, 0]),
    "negative count": (["per_item", "words"], [-1, 1]),
    "no words": (["clean", "counts", "words"], 0),
    "counts of other names": (["clean", "counts"], {"words": 3}),
    "mean that is missing": (["averages"], {}),
    "mean over unknown types": (["averages", "all", "names"], ["tram"]),
    "mean over nothing": (["averages", "all", "names"], []),
    "no level": (["cells", 0, "condition", "value"], None),
    "infinite level": (["cells", 0, "condition", "value"], float("inf")),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_parts_that_do_not_fit_each_other_are_refused(result: GridResult, case: str, tmp_path: Path) -> None:
    values = result.plain()
    (*steps, last), hostile = HOSTILE[case]
    reduce(getitem, steps, values)[last] = hostile
    (tmp_path / "result.json").write_text(json.dumps(values))
    with pytest.raises(EvaluationError, match="whole"):
        GridResult.load(tmp_path / "result.json")


def test_a_grid_with_a_gap_is_refused(result: GridResult) -> None:
    values = result.plain()
    other = json.loads(json.dumps(values["cells"][0]))
    other["condition"] |= {"name": "metro", "value": 10.0}
    values["cells"].append(other)
    values["averages"]["metro"] = values["averages"]["car"]
    for name in ("errors", "hypotheses"):
        values["per_item"][name]["metro@10"] = values["per_item"][name]["car@5"]
    with pytest.raises(EvaluationError, match="must hold metro@5"):
        GridResult.parse(values)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": ' + "9" * 5000 + "}", b"\xff\xfe{", "null", ""])
def test_what_is_no_json_of_a_result_is_refused(text: str | bytes, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(EvaluationError):
        GridResult.load(tmp_path / "result.json")


@pytest.mark.parametrize("ends", [[], [1.0], [1.0, 2.0, 3.0]])
def test_an_interval_has_two_ends(result: GridResult, ends: list[float]) -> None:
    rate, whole = {"value": 0.1, "ci": ends}, {"snr_db": 1.0, "ci": [0.0, 2.0]}
    group = {"items": 1, "groups": 1, "words": 1, "rates": {"clean": rate}}
    for changed in (
        {"thresholds": {"car": {"doubled": whole, "half": {**whole, "ci": ends}}}},
        {"thresholds": {"car": {"doubled": {**whole, "ci": ends}, "half": whole}}},
        {"werd": {"all": rate}},
        {"subgroups": {"gender": {"f": group}}},
        {"clean": {**result.plain()["clean"], "nll": {"ctc": rate}}},
    ):
        with pytest.raises(EvaluationError, match="an interval must have two ends"):
            GridResult.parse({**result.plain(), **changed})
    GridResult.parse({**result.plain(), "thresholds": {"car": {"doubled": whole, "half": {**whole, "ci": None}}}})
