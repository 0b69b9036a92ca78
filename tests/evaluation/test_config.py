"""The configuration as options of the command, and as stored."""

from pathlib import Path

import pytest

from noisewise.config import dump, parse
from noisewise.errors import ConfigError
from noisewise.evaluation.config import GridConfig

FULL = GridConfig(
    manifest="a#split=test", noise="n", types=["car", "cafe"], snrs_db=[0.0, 2.5], seed=3, limit=7,
    bootstrap_unit="speaker", bootstrap_samples=50, label_column="sound",
)  # fmt: skip


def test_options_name_what_differs_from_the_defaults() -> None:
    assert GridConfig(manifest="a").options() == ["--seed", "0"]
    assert " ".join(FULL.options()) == (
        "--noise n --snr 0 2.5 --types car,cafe --seed 3 --limit 7 --bootstrap speaker --bootstrap-samples 50 "
        "--label-column sound"
    )
    levels = {"clip": [6.0, 12.5], "mulaw": [8.0]}
    assert GridConfig(manifest="a", levels=levels).options()[:4] == ["--degrade", "clip=6,12.5", "--degrade", "mulaw=8"]


def test_it_is_stored_without_paths_of_this_machine(tmp_path: Path) -> None:
    found = GridConfig(manifest=f"{tmp_path}/an4#split=test", noise=str(tmp_path / "noise")).portable()
    assert (found.manifest, found.noise) == ("an4#split=test", "noise")
    assert parse(GridConfig, dump(FULL)) == FULL


def test_noise_and_degradations_are_two_grids() -> None:
    with pytest.raises(ConfigError, match="one after the other"):
        GridConfig(manifest="a", noise="n", levels={"clip": [6.0]})
