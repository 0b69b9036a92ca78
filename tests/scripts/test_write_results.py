"""The README and the pages hold what the results hold."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_results", ROOT / "scripts" / "write_results.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_results_in_the_readme_and_in_the_overview_are_those_of_the_files(script: ModuleType) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert script.updated_readme(readme) == readme, "run python scripts/write_results.py"
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert script.updated(page) == page, "run python scripts/write_results.py"


def test_the_readme_has_one_table_of_ten_lines(script: ModuleType) -> None:
    table = script.updated_readme(f"{script.BEGIN}\n{script.END}").splitlines()[1:-1]
    assert [line.split(" | ")[0] for line in table[2:]][-2:] == ["| all types", "| clean"]
    assert len(table) == 2 + 9


def test_systems_are_measured_on_the_same_mixtures(script: ModuleType) -> None:
    grids = [script.GridResult.load(ROOT / "results" / f"{name}.json") for name in script.SET_UP]
    assert len({tuple(row.mixture_sha256 for row in (one.clean, *one.cells)) for one in grids}) == 1


def test_over_http_the_an4_model_has_the_same_errors() -> None:
    names = ("other_systems/an4_ctc_over_http_44", "an4_ctc/an4_44")
    served, own = (json.loads((ROOT / "results" / f"{name}.json").read_text())["per_utterance"] for name in names)
    assert served["ids"] == own["ids"] and served["errors"].keys() == own["errors"].keys()
    pairs = [
        pair for name, counts in own["errors"].items() for pair in zip(counts, served["errors"][name], strict=True)
    ]
    assert len(pairs) == 44 * 36
    assert sum(here != there for here, there in pairs) <= 5  # 16 bits for the server, float32 for the model itself
