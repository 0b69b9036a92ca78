"""The programs of a run: their words, their order, and when a grid is that of the plan."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from noisewise.experiments.jobs import Measurement, Training
from noisewise.experiments.plan import GridPlan


@pytest.fixture
def run(tmp_path: Path) -> Any:
    folder = tmp_path / "seed_0" / "ew2"
    return SimpleNamespace(
        key="seed_0/ew2", seed=0, needs=["first"], file=Path("ew2.yaml"), overrides=["run.seed=0"], folder=folder,
        best=folder / "best", grid=folder / "grid.json", steps=10, finished=lambda: False, reached=lambda: 4,
    )  # fmt: skip


def test_a_training_follows_what_its_run_needs(run: Any) -> None:
    job = Training(run)
    assert job.needs == {"seed_0/first"} and job.position() == (4, 10) and not job.done()
    assert job.command()[3:] == ["train", "ew2.yaml", "run.seed=0", "--output", str(run.folder)]


def test_a_measurement_names_every_argument_of_the_grid(run: Any) -> None:
    grid = GridPlan(manifest="an4", noise="noise", snrs_db=[0, 5.5], types=["car", "babble"], limit=9, seed=3)
    job = Measurement(run, grid)
    words = job.command()
    assert job.needs == {"seed_0/ew2"} and not job.done()
    assert words[3:6] == ["evaluate", "an4", "--model"] and words[-1] == "--restart"
    assert words[words.index("--snr") + 1 : words.index("--types")] == ["0", "5.5"]
    assert words[words.index("--types") + 1] == "car,babble" and words[words.index("--limit") + 1] == "9"
    assert "--noise" not in Measurement(run, GridPlan(manifest="an4")).command()


def test_cells_of_a_grid_are_counted(run: Any) -> None:
    job = Measurement(run, GridPlan(manifest="an4", noise="noise", snrs_db=[0, 5], types=["car"]))
    assert job.position() == (0, 3)
    job.partial.parent.mkdir(parents=True)
    job.partial.write_text("about\nclean\ncar@0\n")
    assert job.position() == (2, 3)
    assert Measurement(run, GridPlan(manifest="an4")).position() == (2, 1)
