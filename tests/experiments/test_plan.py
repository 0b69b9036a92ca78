"""Plans: their order, what they refuse, and where they are found."""

from pathlib import Path

import pytest
import yaml

from noisewise.config import dump, parse
from noisewise.errors import ConfigError, RunError
from noisewise.experiments.plan import Plan, find, place, read, title

PLANS = sorted((Path(__file__).parents[2] / "recipes").rglob("plan.yaml"))
THREE = {
    "wav2code": {"recipe": "c.yaml", "set": ["start_from={runs}/ew2/best", "task.teacher={runs}/codebook/best"]},
    "codebook": {"recipe": "b.yaml", "set": ["start_from={runs}/ew2/best"]},
    "ew2": {"recipe": "a.yaml"},
    "other": {"recipe": "a.yaml"},
}


def plan(**values: object) -> Plan:
    return parse(Plan, {"runs": THREE, "grid": {"manifest": "corpus"}, **values})


@pytest.mark.parametrize("path", PLANS, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_every_plan_of_the_project_is_whole(path: Path) -> None:
    found = read(path)
    assert parse(Plan, dump(found)) == found
    assert all((path.parent / run.recipe).is_file() for run in found.runs.values())


def test_each_run_comes_after_what_it_needs() -> None:
    assert plan().chosen(list(THREE)) == ["ew2", "codebook", "wav2code", "other"]
    assert plan().chosen(["codebook"]) == ["ew2", "codebook"]
    assert plan().runs["wav2code"].needs == ["ew2", "codebook"]


def test_runs_of_tables_and_comparisons_are_measured() -> None:
    table = {"title": "T", "columns": ["Method"], "rows": [{"labels": ["EW2"], "run": "ew2"}]}
    found = plan(tables=[table], comparisons=[{"better": "wav2code", "than": "ew2"}])
    assert found.measured == {"ew2", "wav2code"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"runs": {"a": {"recipe": "a.yaml", "set": ["start_from={runs}/ew3/best"]}, "ew2": {"recipe": "a.yaml"}}},
         r"`runs\.a\.set` must name a run of the plan, but names 'ew3'; did you mean 'ew2'"),
        ({"runs": {"a": {"recipe": "r", "set": ["start_from={runs}/b/best"]},
                   "b": {"recipe": "r", "set": ["start_from={runs}/a/best"]}}}, "in a circle, but do: a -> b -> a"),
        ({"comparisons": [{"better": "wav3code", "than": "ew2"}]}, "did you mean 'wav2code'"),
        ({"tables": [{"title": "T", "columns": ["A", "B"], "rows": [{"labels": ["x"], "run": "ew2"}]}]},
         r"rows of 'T' must have a label for each of \['A', 'B'\], but one has \['x'\]"),
        ({"runs": {"../ew2": {"recipe": "a.yaml"}}}, "name must be of letters"),
        ({"grid": None, "comparisons": [{"better": "ew2", "than": "other"}]}, "`grid` must be given where"),
        ({"sounds": {"comparisons": [{"better": "ew2", "than": "othr"}]}}, "did you mean 'other'"),
        ({"sounds": {"curves": [{"title": "C", "lines": [{"label": "a", "run": "ew2", "points": {3: "none"}}]}]}},
         "must name a run of the plan, but names 'none'"),
        ({"sounds": {"curves": [{"title": "C", "lines": [{"label": "a", "run": "ew2", "points": {3: "other"}}],
                                 "reach": [{"better": "b", "than": "a"}]}]}}, "labels of lines in `reach`, but has"),
        ({"seeds": []}, "`seeds` must hold something"),
        ({"seeds": [1, 1]}, "`seeds` must differ"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_carried_out_is_refused(values: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({"runs": THREE, "grid": {"manifest": "corpus"}, **values}))
    with pytest.raises(RunError, match=message):
        read(path)


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("runs: {a: {recipe: a.yaml}}\ngrid: {manifest: c, snr_db: [0]}\n")
    with pytest.raises(ConfigError, match="did you mean 'snrs_db'"):
        read(path)


def test_a_plan_is_found_by_name_in_a_checkout_or_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"recipes are not in the installed package"):
        find("wav2code", "mini")
    path = Path("recipes") / "mini" / "wav2code" / "plan.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert find("wav2code", "mini") == find(str(path), "tiny") == path
    assert title(path) == "wav2code_mini"
    assert place(path) == "wav2code/mini"
    with pytest.raises(RunError, match="there are wav2code --scale mini"):
        find("wav2code", "base")
    assert title(tmp_path / "mine" / "plan.yaml") == "mine"
    assert place(tmp_path / "mine" / "plan.yaml") == "mine"
