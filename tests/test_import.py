"""The package is light until it is used."""

import subprocess
import sys
import time

import pytest

HEAVY = ("torch", "numpy", "typer", "rich", "pydantic", "lhotse", "transformers", "soundfile")


def loaded_after(statement: str) -> set[str]:
    """Heavy modules that a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_takes_in_nothing_heavy() -> None:
    assert loaded_after("import noisewise; noisewise.__version__") == set()


def test_the_check_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_after("import numpy")


def test_help_takes_in_nothing_heavy() -> None:
    assert loaded_after("from noisewise.cli.main import main; main(['--help'])") == set()


def test_help_is_quick() -> None:
    def seconds() -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "noisewise", "--help"], check=True, capture_output=True)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.3


def test_public_names_come_from_their_homes() -> None:
    import noisewise

    assert {"load", "Recogniser", "Transcript", "load_audio"} <= set(dir(noisewise))
    for name in noisewise.__all__:
        assert getattr(noisewise, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'recognizer'"):
        _ = noisewise.recognizer
