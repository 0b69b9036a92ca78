"""The README says what the results say."""

import importlib.util
import json
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


def test_over_http_the_box_hears_what_it_hears_itself() -> None:
    names = ("box_over_http_an4", "box_an4_44")
    served, own = (json.loads((ROOT / "results" / f"{name}.json").read_text())["per_utterance"] for name in names)
    assert served["ids"] == own["ids"] and served["errors"].keys() == own["errors"].keys()
    pairs = [
        pair for name, counts in own["errors"].items() for pair in zip(counts, served["errors"][name], strict=True)
    ]
    assert len(pairs) == 44 * 36
    assert sum(here != there for here, there in pairs) <= 5  # 16 bits for the server, float32 for the box itself
