"""Lines of JSON, and lines that are none."""

from pathlib import Path

import pytest

from noisewise.evaluation import json_lines


@pytest.mark.parametrize(
    "broken",
    [b"[" * 100_000, b"9" * 5000, b"\xff", b'{"a": ', b"x" * 300_000],
    ids=["deep", "digits", "bytes", "cut", "long"],
)
def test_a_broken_line_harms_no_other(broken: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'{"a": 1}\n\n' + broken + b"\n[2]\n3")
    found = list(json_lines.read(tmp_path / "a", 200_000))
    assert [value for _, value in found] == [{"a": 1}, None, [2], 3]
    assert all(len(line) <= 200_000 for line, _ in found)
