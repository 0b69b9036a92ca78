"""Errors: one base that the command line catches, and what an audio error says beside its sentence."""

import inspect
from pathlib import Path

import pytest

from noisewise import errors
from noisewise.errors import AudioError, NoisewiseError, install_line, lacks_memory

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)]


@pytest.mark.parametrize("found", CLASSES)
def test_every_error_is_one_that_the_command_line_prints_as_a_line(found: type[Exception]) -> None:
    assert issubclass(found, NoisewiseError)
    assert issubclass(found, ValueError)


def test_an_audio_error_names_its_reason_and_file() -> None:
    error = AudioError("`a.wav` must hold audio, but is empty; remove it", reason="empty", path="a.wav")
    assert (str(error)[:7], error.reason, error.path) == ("`a.wav`", "empty", "a.wav")


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 12 bytes"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("Kernel size can't be greater than actual input size"), False),
        (AudioError("`memory.wav` must be audio"), False),
    ],
)
def test_a_lack_of_memory_is_told_from_bad_input(error: Exception, lacks: bool) -> None:
    assert lacks_memory(error) is lacks
    outer = AudioError("`a.wav` must be audio, but cannot be read")
    outer.__cause__ = error
    assert lacks_memory(outer) is lacks


def test_an_extra_is_installed_from_the_checkout_that_the_package_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkout"
    (root / "src/noisewise").mkdir(parents=True)
    monkeypatch.setattr(errors, "__file__", str(root / "src/noisewise/errors.py"))
    assert install_line("hf") == "pip install 'noisewise[hf]'"
    (root / "pyproject.toml").touch()
    assert install_line("hf") == f"pip install -e '{root.resolve()}[hf]'"
    monkeypatch.chdir(root)
    assert install_line("hf") == "pip install -e '.[hf]'"
