"""A small plan from beginning to end: one run is killed, resumed, begun from, measured, printed."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import yaml

from noisewise.cli.main import main
from noisewise.errors import ConfigError, EvaluationError, RunError
from noisewise.evaluation.result import GridResult
from noisewise.experiments.experiment import Experiment, whole
from noisewise.experiments.result import Reproduction
from noisewise.experiments.scheduler import Outcome
from noisewise.training import log
from tests.corpus import WORDS, write_corpus, write_recipe

SAVE = ["train.workers=0", "run.log_every=1", "run.save_every=1", "run.validate_every=30", "run.keep=1"]
PLAN = {
    "seeds": [3],
    "runs": {
        "second": {"recipe": "ctc.yaml", "set": [*SAVE, "run.steps=1", "start_from={runs}/first/best"]},
        "first": {"recipe": "ctc.yaml", "set": [*SAVE, "run.steps=30"]},
    },
    "grid": {"manifest": "corpus", "noise": "noise", "snrs_db": [5], "types": ["traffic"], "limit": 4},
    "tables": [
        {"title": "T", "columns": ["Method"], "layout": "by_type", "rows": [{"labels": ["Second"], "run": "second"}]}
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a corpus and `mine/plan.yaml`."""
    write_corpus(tmp_path)
    recipe = write_recipe(tmp_path)
    (tmp_path / "mine").mkdir()
    recipe.rename(tmp_path / "mine" / "ctc.yaml")
    write_plan(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_plan(folder: Path, **values: object) -> None:
    (folder / "mine" / "plan.yaml").write_text(yaml.safe_dump({**PLAN, **values}))


def read(**chosen: object) -> Experiment:
    return Experiment.read(Path("mine/plan.yaml"), **chosen)  # type: ignore[arg-type]


def test_from_a_kill_to_the_tables(
    folder: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """The program that is killed is one of its own; those after it are forks."""

    def kill(outcome: Outcome) -> None:
        for one in outcome.running:
            if one.job.position()[0] >= 2:
                os.kill(one.process.pid, signal.SIGKILL)

    outcome = read().execute(1, kill, poll_seconds=0.02)
    assert outcome.failed == {"seed_3/first": "ended by SIGKILL"}
    assert outcome.stopped == {"seed_3/second": "seed_3/first", "seed_3/second grid": "seed_3/first"}
    first = read().runs[0]
    assert 1 <= first.saved() < 30 and not first.finished()
    past = time.time() - 1000
    os.utime(first.folder / "log.jsonl", (past, past))

    request.getfixturevalue("forked")
    assert main(["reproduce", "mine/plan.yaml", "--jobs", "1"]) == 0
    out, err = capsys.readouterr()
    assert [record["step"] for record in log.read(first.folder, "train")] == list(range(1, 31))
    assert "| Second |" in out and "not run" not in out
    assert "3 of 3 done, 0 failed" in err
    result = Reproduction.load("results/mine.json")
    assert whole(result) and result.command == "noisewise reproduce mine/plan.yaml"
    assert [(one.run, one.seed, one.steps) for one in result.runs] == [("first", 3, 30), ("second", 3, 1)]
    grid = GridResult.load("runs/mine/seed_3/second/grid.json")
    assert result.runs[1].weights_sha256 == grid.system_details["weights_sha256"] and not result.runs[0].cells
    assert [(cell.condition, cell.S + cell.D + cell.I) for cell in result.runs[1].cells] == [
        (name, sum(errors)) for name, errors in grid.per_item.errors.items()
    ]
    recipe = yaml.safe_load(Path("runs/mine/seed_3/second/recipe.yaml").read_text())
    assert recipe["start_from"] == "runs/mine/seed_3/first/best" and recipe["run"]["seed"] == 3

    done_again(folder, capsys)
    without_folders(folder, result)


def done_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is finished is neither begun again nor taken for something else."""
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.log")}
    assert read().execute(1).done == ["seed_3/first", "seed_3/second", "seed_3/second grid"]
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.log")} == before
    assert main(["reproduce", "mine/plan.yaml", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["seed_3/first: done", "seed_3/second: done, after seed_3/first"]

    write_plan(folder, grid={**PLAN["grid"], "snrs_db": [10]})  # type: ignore[dict-item]
    assert [job.done() for job in read().jobs()] == [True, True, False], "another grid is measured again"
    write_plan(folder, seeds=[3, 4])
    assert main(["reproduce", "mine/plan.yaml", "--tables", "--results", "part.json"]) == 0
    assert "Of fewer seeds: second: 3." in capsys.readouterr().out
    assert not whole(Reproduction.load("part.json"))
    runs = {**PLAN["runs"], "second": {"recipe": "ctc.yaml", "set": [*SAVE, "run.steps=1", "optimizer.lr=1"]}}  # type: ignore[dict-item]
    write_plan(folder, runs=runs)
    with pytest.raises(ConfigError, match=r"begun with other values of optimizer\.lr, start_from"):
        read()
    assert read(only=["first"]).result("").measured == [], "a run of another recipe is not printed"


def without_folders(folder: Path, result: Reproduction) -> None:
    """What was kept of the runs is as good as their folders; nothing that was said is in it."""
    write_plan(folder)
    shutil.rmtree("runs")
    found = read().result(result.command)
    assert found == result and read(missing=True).runs == []
    text = Path("results/mine/seed_3/second.json").read_text()
    assert "weights_sha256" in text and not any(word in text for word in WORDS)
    write_plan(folder, seeds=[3, 4])
    assert [one.key for one in read(missing=True).runs] == ["seed_4/first", "seed_4/second"]
    assert [one.key for one in read(missing=True, only=["first"]).runs] == ["seed_4/first"]
    write_plan(folder)
    Path("results/mine/seed_3/first.json").unlink()
    assert [one.key for one in read(missing=True).runs] == ["seed_3/first"]
    write_plan(folder, grid={**PLAN["grid"], "snrs_db": [10]})  # type: ignore[dict-item]
    assert read().result("").measured == [] and len(read(missing=True).runs) == 2, "of other mixtures"
    runs = {**PLAN["runs"], "second": {"recipe": "ctc.yaml", "set": [*SAVE, "run.steps=1", "optimizer.lr=1"]}}  # type: ignore[dict-item]
    write_plan(folder, runs=runs)
    assert read().result("").runs == [], "of another recipe"
    write_plan(folder)
    assert [one.run for one in read().result("").runs] == ["second"]
    runs = {**PLAN["runs"], "first": {"recipe": "ctc.yaml", "set": [*SAVE, "run.steps=30", "optimizer.lr=1"]}}  # type: ignore[dict-item]
    write_plan(folder, runs=runs)
    assert read().result("").runs == [], "begun from a run of another recipe"
    Path("results/mine/seed_3/second.json").write_text('{"format": "noisewise-run-1"}')
    with pytest.raises(EvaluationError, match=r"second.json` must be the record of a run, but is not"):
        read().result("")


def test_only_takes_what_is_needed_with_it(folder: Path) -> None:
    assert [one.key for one in read(only=["second"]).runs] == ["seed_3/first", "seed_3/second"]
    assert [one.key for one in read(only=["first"], seeds=[0, 1]).runs] == ["seed_0/first", "seed_1/first"]
    with pytest.raises(RunError, match="names 'third'"):
        read(only=["third"])


def test_tables_before_anything_has_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "mine/plan.yaml", "--tables", "--output", "elsewhere"]) == 0
    assert "| Second | not run |" in capsys.readouterr().out
    assert {path.name for path in Path("elsewhere").iterdir()} == {"tables.md", "tables.tex", "tables.csv"}


def test_records_never_lie_where_the_result_does(folder: Path) -> None:
    assert read(results=Path("out/mine.json")).records == Path("out/mine")
    assert read(results=Path("out/mine")).records == Path("out/mine.runs")


def test_a_folder_in_training_is_left_alone(folder: Path) -> None:
    run = Path("runs/mine/seed_3/first")
    run.mkdir(parents=True)
    (run / "log.jsonl").write_text(json.dumps({"kind": "train", "step": 20}) + "\n")
    assert read().runs[0].reached() == 20
    with pytest.raises(RunError, match="something trains there now"):
        read().execute(1)


def test_time_left_follows_the_longest_chain_or_the_shares(folder: Path) -> None:
    experiment = read(seeds=[0, 1])
    assert experiment.seconds_left(2) is None
    Path("results").mkdir()
    trained = {
        "seed": 0, "recipe": "", "recipe_sha256": "", "kind": "ctc", "best_step": 1, "validation": {},
        "audio_seconds": 1.0, "parameters": 1, "weights_sha256": "",
    }  # fmt: skip
    runs = [
        {**trained, "run": "first", "steps": 10, "training_seconds": 20.0},
        {**trained, "run": "second", "steps": 1, "training_seconds": 50.0},
    ]
    stored = {"format": "noisewise-reproduction-1", "title": "", "plan": "", "seeds": [0], "runs": runs, "tables": []}
    Path("results/mine.json").write_text(json.dumps(stored))
    experiment = read(seeds=[0, 1])
    assert experiment.seconds_left(1) == pytest.approx(2 * (60 + 50))
    assert experiment.seconds_left(2) == pytest.approx(60 + 50)
    assert experiment.seconds_left(8) == pytest.approx(60 + 50), "the second needs the first"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "recipes are not in the installed package"),
        (["mine/plan.yaml", "--only", "frist"], "did you mean 'first'"),
        (["mine/ctc.yaml"], "unknown key"),
    ],
)
def test_mistakes_are_one_line(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *words]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_row_that_does_not_recognise_is_refused(folder: Path) -> None:
    recipe = yaml.safe_load((folder / "mine" / "ctc.yaml").read_text())
    recipe["model"] = {"kind": "ew2"}
    (folder / "mine" / "ew2.yaml").write_text(yaml.safe_dump(recipe))
    write_plan(folder, runs={"second": {"recipe": "ew2.yaml"}})
    with pytest.raises(RunError, match="`second` is a model of kind ew2; name the run that is fine-tuned from it"):
        read()
    write_plan(folder, runs={"second": {"recipe": "ctc.yaml", "set": ["optimizer.lrr=1"]}})
    with pytest.raises(ConfigError, match=r"`runs.second`: optimizer.lrr: unknown key"):
        read()
