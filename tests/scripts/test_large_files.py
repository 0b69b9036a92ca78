"""Large files do not slip into the repository."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("large_files", ROOT / "scripts" / "large_files.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_a_large_file_is_named(script: ModuleType, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"1" * script.LIMIT_BYTES)
    large.write_bytes(b"1" * (script.LIMIT_BYTES + 1))
    assert script.too_large([str(small), str(large), str(tmp_path / "gone")]) == [f"{large}: 600 kB"]


def test_no_file_of_the_repository_is_large(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert script.too_large(listed.stdout.splitlines()) == []
