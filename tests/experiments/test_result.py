"""The file of a result: read back as it was written, and refused when it is another."""

from pathlib import Path

import pytest

from noisewise.errors import EvaluationError
from noisewise.experiments.result import Reproduction
from tests.experiments.test_tables import result


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = result("by_type", "summary")
    written.save(tmp_path / "new" / "result.json")
    read = Reproduction.load(tmp_path / "new" / "result.json")
    assert read == written and read.rates("ew2") == written.measured[0] and read.rates("nothing") is None


@pytest.mark.parametrize("path", sorted(Path("results").glob("**/mini*.json")), ids=str)
def test_stored_results_can_be_read(path: Path) -> None:
    if '"noisewise-reproduction-1"' in path.read_text(encoding="utf-8")[:200]:
        assert Reproduction.load(path).runs


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for text, message in (
        ("nothing", "must be a JSON file"),
        ('{"format": "noisewise-grid-1"}', "noisewise-reproduction-1"),
        ('{"format": "noisewise-reproduction-1"}', "must be a whole result"),
    ):
        path.write_text(text)
        with pytest.raises(EvaluationError, match=message):
            Reproduction.load(path)
