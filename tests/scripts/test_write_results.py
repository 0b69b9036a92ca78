"""The README says what the results say."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_results_in_the_readme_are_those_of_the_files() -> None:
    spec = importlib.util.spec_from_file_location("write_results", ROOT / "scripts" / "write_results.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert script.updated(readme) == readme, "run python scripts/write_results.py"
    assert len(readme.splitlines()) <= 200


def test_what_stands_beside_the_box_heard_the_same_mixtures() -> None:
    spec = importlib.util.spec_from_file_location("write_results", ROOT / "scripts" / "write_results.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    grids = [script.GridResult.load(ROOT / "results" / f"{name}.json") for name in script.BESIDE]
    assert len({tuple(row.mixture_sha256 for row in (one.clean, *one.cells)) for one in grids}) == 1
