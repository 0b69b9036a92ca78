"""One version and one set of pins, wherever they stand."""

import re
import tomllib
from pathlib import Path

import noisewise

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["version"] == noisewise.__version__
    assert f"version: {noisewise.__version__}\n" in citation
    section = re.search(r"^## \[(\d[^\]]*)\] - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    assert section is not None and section[1] == noisewise.__version__
    assert f"date-released: {section[2]}\n" in citation
    assert changelog.index("## [Unreleased]") < section.start()


def test_every_extra_is_pinned() -> None:
    pins = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split("\n")
    }
    for extra, wanted in PROJECT["optional-dependencies"].items():
        for requirement in wanted:
            name = re.split(r"[\[>=; ]", requirement)[0].lower().replace("_", "-")
            assert name in pins | {"noisewise"}, f"{requirement} of the extra {extra} has no pin in constraints.txt"
