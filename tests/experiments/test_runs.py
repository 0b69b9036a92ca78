"""Runs of a plan: order, folders and values, and how far what lies in a folder has come."""

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from noisewise.config import parse
from noisewise.errors import ConfigError, RunError
from noisewise.experiments.plan import Plan
from noisewise.experiments.runs import BUSY_SECONDS, Run, runs_of

RECIPE = {
    "train": {"manifests": ["speech"]},
    "validation": {"manifests": ["speech"]},
    "model": {"kind": "ctc"},
    "run": {"steps": 20},
}
RUNS = {"second": {"recipe": "r.yaml", "set": ["start_from={runs}/first/best"]}, "first": {"recipe": "r.yaml"}}


def runs(folder: Path, seeds: list[int], names: list[str], **values: object) -> list[Run]:
    (folder / "r.yaml").write_text(yaml.safe_dump(RECIPE))
    plan = parse(Plan, {"runs": RUNS, **values})
    return runs_of(plan, folder / "plan.yaml", folder / "out", seeds, names)


def checkpoint(run: Run, step: int, **state: object) -> None:
    folder = run.folder / "checkpoints" / f"step_{step:08d}"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"step": step, **state}))


def log(run: Run, text: str, age: float = 0.0) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    path = run.folder / "log.jsonl"
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)


def test_what_a_run_needs_comes_before_it_seed_after_seed(tmp_path: Path) -> None:
    found = runs(tmp_path, [1, 0], ["second"])
    assert [one.key for one in found] == ["seed_1/first", "seed_1/second", "seed_0/first", "seed_0/second"]
    first, second, *_ = found
    assert first.needs == [] and second.needs == ["first"] and second.after == [first]
    start = (tmp_path / "out" / "seed_1" / "first" / "best").as_posix()
    assert second.recipe.start_from == start and second.recipe.run.seed == 1 and found[3].recipe.run.seed == 0
    assert second.overrides == [f"start_from={start}", "run.seed=1"]
    assert second.grid == tmp_path / "out" / "seed_1" / "second" / "grid.json" and second.steps == 20
    assert second.file == tmp_path / "r.yaml" and second.recognises


def test_the_last_line_of_the_log_counts_whole_or_not(tmp_path: Path) -> None:
    (run,) = runs(tmp_path, [0], ["first"])
    assert (run.saved(), run.reached(), run.state()) == (0, 0, None) and not run.busy()
    checkpoint(run, 10, best=0.5)
    assert run.saved() == run.reached() == 10
    state = run.state()
    assert state is not None and (state.step, state.best) == (10, 0.5)
    log(run, '{"kind": "train", "step": 15}\n{"kind": "validation", "step": 16}\n{"kind": "train", "st')
    assert run.reached() == 15 and run.busy()
    log(run, '{"kind": "train", "step": 15}\n', age=BUSY_SECONDS + 10)
    assert not run.busy()
    log(run, '{"kind": "train", "step": 10}\n')
    assert not run.busy()


def test_a_run_has_finished_with_all_steps_and_a_model(tmp_path: Path) -> None:
    (run,) = runs(tmp_path, [0], ["first"])
    run.best.mkdir(parents=True)
    (run.best / "model.safetensors").write_bytes(b"")
    checkpoint(run, 10)
    assert not run.finished()
    checkpoint(run, 20)
    assert run.finished()
    (run.best / "model.safetensors").unlink()
    assert not run.finished()


def test_too_many_steps_are_another_run(tmp_path: Path) -> None:
    (run,) = runs(tmp_path, [0], ["first"])
    checkpoint(run, 30)
    with pytest.raises(ConfigError, match="at most 20 steps, as in the plan, but has 30"):
        run.check()
    assert not run.fits()


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="`first` is not; add `test`"):
        table = {"title": "T", "columns": ["a"], "rows": [{"labels": ["x"], "run": "first"}]}
        runs(tmp_path, [0], ["first"], sounds={"tables": [table]})
    with pytest.raises(ConfigError, match=r"`runs\.first`: .*stepz"):
        runs(tmp_path, [0], ["first"], runs={"first": {"recipe": "r.yaml", "set": ["run.stepz=1"]}})
