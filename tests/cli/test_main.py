"""The table of verbs, and errors as one line."""

import errno
import re
from importlib import import_module
from types import SimpleNamespace

import pytest

from noisewise import __version__
from noisewise.cli import main as cli
from noisewise.errors import NoisewiseError, install_line


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in cli.VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"noisewise {__version__}\n"


def test_a_mistyped_verb_is_corrected(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["transcrbe", "a.wav"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "'transcrbe' instead; did you mean 'transcribe'?" in shown.err


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_a_module_with_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = import_module(f"noisewise.cli.{verb}")
    commands = module.COMMANDS.values() if hasattr(module, "COMMANDS") else [module.command]
    assert all(command.__doc__ for command in commands)
    assert cli.main([verb, "--help"]) == 0
    assert f"noisewise {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            NoisewiseError("`x` must be\n 1, but is 2 instead"),
            2,
            "noisewise: `x` must be 1, but is 2 instead\n",
        ),
        (
            ModuleNotFoundError("No module named 'lhotse.cut'", name="lhotse.cut"),
            2,
            f"noisewise: `doctor` needs lhotse; install it with: {install_line('train')}\n",
        ),
        (
            FileNotFoundError(2, "No such file or directory", "a.yaml"),
            2,
            "noisewise: a.yaml: No such file or directory\n",
        ),
        (SystemExit(1), 1, ""),
    ],
)
def test_a_users_error_is_one_line(
    error: BaseException,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        raise error

    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(command=command))
    assert cli.main(["doctor"]) == status
    assert capsys.readouterr().err == line


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'noisewise.nowhere'", name="noisewise.nowhere")

    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(command=command))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["doctor"])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out/a.flac"), "out/a.flac: .*make room"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "out/a.flac"), "out/a.flac: .*make room"),
        (OSError(errno.ENOSPC, "No space left on device"), "embed: .*make room"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "a: Permission denied"),
        (MemoryError(), "`embed` must have more memory.*same command again"),
        (RuntimeError("DefaultCPUAllocator: can't\nallocate memory"), "`embed` must have more memory"),
        (RuntimeError("CUDA out of memory. Tried"), "`embed` must have more memory"),
    ],
)
def test_what_the_system_lacks_is_one_line(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(command=command))
    assert cli.main(["embed"]) == 2
    shown = capsys.readouterr()
    assert re.search(message, shown.err) and shown.err.count("\n") == 1 and not shown.out
