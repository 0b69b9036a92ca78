"""Two programs must not train in one folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from noisewise.training.sole_writer import FolderInUse, sole_writer

HOLD = """
import sys
from pathlib import Path
from noisewise.training.sole_writer import sole_writer
sole_writer(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_program_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse, match="another one trains in it"):
            sole_writer(folder)
        other.kill()
        other.wait()
    sole_writer(folder)


def test_the_same_program_may_go_on(tmp_path: Path) -> None:
    sole_writer(tmp_path)
    sole_writer(tmp_path)
    sole_writer(tmp_path / "another")
