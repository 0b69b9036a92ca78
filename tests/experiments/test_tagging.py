"""Accuracies of taggers: means over seeds, pairs, and how soon one line reaches another, against counts by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from noisewise.cli.main import main
from noisewise.config import dump, parse
from noisewise.errors import EvaluationError, RunError
from noisewise.experiments.cells import Trained
from noisewise.experiments.experiment import Experiment, whole
from noisewise.experiments.plan import ComparisonPlan, CurvePlan, LinePlan, TaggingPlan
from noisewise.experiments.records import Record
from noisewise.experiments.result import Reproduction
from noisewise.experiments.tagging import TaggingSummary, aggregate_tagging
from tests.corpus import TINY, write_corpus, write_recipe

IDS = ["a", "b", "c", "d"]


def done(name: str, seed: int, right: str | None, seconds: float = 0.0, steps: int = 0) -> Record:
    """A run that is finished."""
    test: dict[str, Any] | None = None
    if right is not None:
        order = IDS if seed == 0 else IDS[::-1]  # in whatever order
        test = {"papers_protocol": False, "ids": order, "right": [int(right[IDS.index(name)]) for name in order]}
        test["sources"] = [{"a": "s", "b": "s"}.get(name, name) for name in order]
    trained = Trained(
        run=name, seed=seed, recipe="", recipe_sha256="", kind="", steps=steps, best_step=steps, validation={},
        training_seconds=seconds, audio_seconds=0.0, parameters=1, weights_sha256="",
    )  # fmt: skip
    return Record(trained, None, test)


LINES = [
    LinePlan(label="plain", run="pre", points={10: "p10", 40: "p40"}),
    LinePlan(label="helped", run="pre2", points={10: "h10", 40: "h40"}, after=["helper"]),
]
PLAN = TaggingPlan(
    tables=[{"title": "T", "columns": ["Stem"], "rows": [{"labels": ["plain"], "run": "p40"}]}],  # type: ignore[list-item]
    comparisons=[{"better": "h40", "than": "p40"}],  # type: ignore[list-item]
    curves=[
        CurvePlan(
            title="C", lines=LINES, level={"none": "scratch"}, reach=[ComparisonPlan(better="helped", than="plain")]
        )
    ],
)


def parsed() -> TaggingPlan:
    return parse(TaggingPlan, dump(PLAN))


RIGHT = {"p10": ("0000", "0001"), "p40": ("1100", "1001"), "h10": ("1000", "0001"), "h40": ("1111", "1101")}


def gathered(**right: tuple[str, ...]) -> TaggingSummary:
    records = [done(name, seed, row) for name, rows in {**RIGHT, **right}.items() for seed, row in enumerate(rows)]
    for seed in (0, 1):
        records += [done(name, seed, None, 80.0, 40) for name in ("pre", "pre2")]
        records.append(done("helper", seed, None, 5.0, 7))
    found = aggregate_tagging(parsed(), records)
    assert found is not None
    return found


def test_means_pairs_and_the_crossing_by_hand() -> None:
    """p40 is right in 2 of 4 by either seed; h10 in 1 of 4, h40 in 3.5 of 4: the line crosses at 10 + 30 * 1 / 2.5."""
    found = gathered()
    assert found.clips == 4 and found.sources == 3
    p40, h40 = found.of("p40"), found.of("h40")
    assert p40 is not None and h40 is not None
    assert (p40.accuracy, p40.by_seed, h40.accuracy, h40.by_seed) == (0.5, [0.5, 0.5], 0.875, [1.0, 0.75])
    assert p40.ci[0] <= 0.5 <= p40.ci[1] and found.of("scratch") is None
    (gain,) = found.gains
    assert gain.difference == pytest.approx(0.375) and gain.by_seed == [0.5, 0.25] and gain.seeds == [0, 1]
    assert gain.ci[0] <= 0.375 <= gain.ci[1]
    (reached,) = found.curves[0].reached
    assert reached.updates == pytest.approx(10 + 30 * (0.5 - 0.25) / (0.875 - 0.25)) and reached.than_updates == 40
    assert reached.seconds == pytest.approx(5 + 2 * (reached.updates or 0)) and reached.than_seconds == 80.0
    assert reached.by_seed == pytest.approx([10 + 30 * 0.25 / 0.75, 10 + 30 * 0.25 / 0.5])


def test_intervals_draw_sources_with_all_their_clips() -> None:
    """Right in a and b alone, one source of three: 0, 2/4, 4/5 or all, never 1/4."""
    found = gathered(p40=("1100", "1100")).of("p40")
    assert found is not None
    drawn = {2 * k / (2 * k + 3 - k) for k in range(4)}
    assert any(found.ci[0] == pytest.approx(value) for value in drawn) and found.ci[1] == pytest.approx(1.0)


def test_what_is_never_reached_and_what_is_there_at_once() -> None:
    (low,) = gathered(h10=("0000", "0000"), h40=("1000", "1000")).curves[0].reached
    assert low.updates is None and low.seconds is None and low.by_seed == [None, None]
    (high,) = gathered(h10=("1111", "1111")).curves[0].reached
    assert high.updates == 10


def test_other_clips_are_refused() -> None:
    records = [done(name, 0, "0000") for name in ("h40", "p40")]
    records[1] = replace(records[1], test={**records[1].test, "ids": ["a", "b", "c", "x"]})  # type: ignore[dict-item]
    with pytest.raises(EvaluationError, match="`h40` must be tested on the same clips as `p40`"):
        aggregate_tagging(parsed(), records)
    assert aggregate_tagging(parsed(), []) is None


def test_folds_are_pooled_clip_by_clip() -> None:
    """Right in 1 of 1 and in 2 of 3: 3 of 4, and not the mean of the folds."""
    plan = parse(
        TaggingPlan,
        {
            "pools": {"all": ["one", "two"]},
            "tables": [{"title": "T", "columns": ["Folds"], "rows": [{"labels": ["five"], "run": "all"}]}],
        },
    )
    assert plan.runs == {"one", "two"} and plan.shown == {"all"}
    tests: list[dict[str, Any]] = [
        {"ids": list(right), "right": list(right.values()), "sources": list(right), "papers_protocol": True}
        for right in ({"a": 1}, {"b": 1, "c": 1, "d": 0})
    ]
    records = [replace(done(name, 0, None), test=test) for name, test in zip(("one", "two"), tests, strict=True)]
    found = aggregate_tagging(plan, records)
    assert found is not None and found.papers_protocol
    pooled, first = found.of("all"), found.of("one")
    assert pooled is not None and first is not None and pooled.accuracy == 0.75 and first.accuracy == 1.0
    assert aggregate_tagging(plan, records[:1]).of("all") is None
    with pytest.raises(EvaluationError, match="must be tested on other clips each"):
        aggregate_tagging(plan, [replace(records[0], test=tests[1]), records[1]])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a corpus and `mine/plan.yaml`, the tiny plan of the project."""
    write_corpus(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "cat").mkdir()
    for name in ("cat", "cat/tagging"):
        write_recipe(tmp_path, name).rename(tmp_path / "mine" / f"{Path(name).name}.yaml")
    plan = yaml.safe_load((TINY / "cat" / "plan.yaml").read_text())
    for run in plan["runs"].values():
        quick = ["run.validate_every=6", "train.workers=0"]
        run.update(recipe=Path(run["recipe"]).name, set=[*run.get("set", []), *quick])
    (tmp_path / "mine" / "plan.yaml").write_text(yaml.safe_dump(plan))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("forked")
def test_the_tiny_plan_from_beginning_to_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "mine/plan.yaml", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "**Fine-tuned**" in out and "not run" not in out and "8 test clips of 2 sources" in out
    assert "accuracy (%) after so many updates" in out and "Differences in pairs" in out
    result = Reproduction.load("results/mine.json")
    assert whole(result) and result.sounds is not None and {one.run for one in result.runs} >= {"cat", "tuned_3"}
    tested = json.loads(Path("runs/mine/seed_0/tuned_6/test.json").read_text())
    found = result.sounds.of("tuned_6")
    assert found is not None and found.accuracy == pytest.approx(sum(tested["right"]) / 8)
    assert Path("runs/mine/tables.md").is_file() and Path("runs/mine/curve_1.png").is_file()
    Path("runs/mine/seed_0/scratch/test.json").unlink()
    runs = Experiment.read(Path("mine/plan.yaml")).runs
    assert [one.finished() for one in runs if one.name in ("scratch", "tuned_6")] == [False, True], "not tested yet"
    assert whole(Experiment.read(Path("mine/plan.yaml")).result("")), "but what was kept of it counts"
    Path("results/mine/seed_0/scratch.json").unlink()
    assert not whole(Experiment.read(Path("mine/plan.yaml")).result(""))


def test_runs_that_are_not_tested_are_refused(folder: Path) -> None:
    plan = yaml.safe_load((folder / "mine" / "plan.yaml").read_text())
    plan["sounds"]["comparisons"] = [{"better": "cat", "than": "scratch"}]
    (folder / "mine" / "plan.yaml").write_text(yaml.safe_dump(plan))
    with pytest.raises(RunError, match="must name runs that are tested, but `cat` is not"):
        Experiment.read(Path("mine/plan.yaml"))
