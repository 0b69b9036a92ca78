import json
from pathlib import Path

import pytest

from noisewise.data.checks.reasons import REASONS, Finding, Spool, write_report

FINDINGS = [
    Finding("u1", "silent", "error", "`u1.wav` must hold sound", "a.tsv", 2, "u1.wav"),
    Finding("", "bad_row", "error", 'line 3: must be "JSON"', "a.tsv", 3),
]


def test_reasons_go_from_the_gravest() -> None:
    order = ["error", "warning", "note"]
    places = [order.index(severity) for severity, _ in REASONS.values()]
    assert places == sorted(places)


def test_a_spool_gives_back_all_findings_again_and_again() -> None:
    spool = Spool()
    assert list(spool) == []
    for finding in FINDINGS:
        spool.add(finding)
    assert list(spool) == FINDINGS and list(spool) == FINDINGS


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_report_is_json_with_facts_and_findings(tmp_path: Path, count: int) -> None:
    write_report(tmp_path / "report.json", {"entries": 5, "counts": {}}, FINDINGS[:count])
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["entries"] == 5 and [Finding(**each) for each in values["findings"]] == FINDINGS[:count]
