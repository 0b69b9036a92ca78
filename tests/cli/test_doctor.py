"""`noisewise doctor` shows what is there."""

import json
import tomllib
from pathlib import Path

import pytest
import torch

from noisewise.cli import doctor
from noisewise.cli.main import EXTRAS, main
from noisewise.errors import install_line


def test_report_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["noisewise"]["torch"] == torch.__version__
    assert report["cpu"]["threads"] == torch.get_num_threads()
    assert {"flac", "wav"} <= set(report["audio formats"]["libsndfile"].split())


@pytest.mark.parametrize(("wrong", "says"), [(False, "are right"), (True, "are wrong")])
def test_bfloat16_is_tried(wrong: bool, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = torch.nn.functional.conv1d

    def convolve(features: torch.Tensor, weight: torch.Tensor, groups: int) -> torch.Tensor:
        half = features.dtype == torch.bfloat16
        return exact(features.float(), weight.float(), groups=groups) * (0.5 if wrong and half else 1.0)

    monkeypatch.setattr(torch.nn.functional, "conv1d", convolve)
    assert says in doctor._bfloat16()


def test_a_missing_extra_says_what_it_would_give(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "media", (("no-such-distribution",), "m4a, webm and video files"))
    assert main(["doctor"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "no-such-distribution" in line)
    assert f"m4a, webm and video files: {install_line('media')}" in line


def test_the_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    offered = set(project["optional-dependencies"])
    assert set(doctor.EXTRAS) == offered
    assert set(EXTRAS.values()) <= offered
