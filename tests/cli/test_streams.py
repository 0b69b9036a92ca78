"""What reaches a terminal, and how a command ends."""

import errno
import io
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from noisewise.cli import main as cli
from noisewise.cli import streams

KEY = "sk-SECRETSECRET0123456789"


def run(command: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit status of a verb that does what a test wants."""
    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(command=command))
    return cli.main(["doctor"])


def raising(error: BaseException) -> Any:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize("file", ["stdout", "stderr"])
@pytest.mark.parametrize("bad", ["\x1b]0;PWNED\x07", "\x1b[2J", "\x9b2J", "\u202egpj", "\udcff", "a\rb"])
def test_nothing_printed_controls_the_terminal(
    file: str, bad: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        print(f"name {bad}\tÄ", file=getattr(sys, file))
        print("\r3 of 4", end="", file=getattr(sys, file))

    assert run(command, monkeypatch) == 0
    shown = getattr(capsys.readouterr(), file[3:])
    assert bad not in shown and shown.endswith("\tÄ\n\r3 of 4") and "\\u" in shown


def test_no_key_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert run(raising(FileNotFoundError(2, "No such file", f"/a/{KEY}")), monkeypatch) == 2
    assert capsys.readouterr().err == "noisewise: /a/***: No such file\n"


@pytest.mark.parametrize("words", [["\x1b[2J"], ["transcribe", "\x1b[2J.wav"], ["compare", "\udcff.json", "\x1b[2J"]])
def test_names_in_errors_are_escaped(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) in (1, 2)
    shown = capsys.readouterr().err
    assert "\x1b" not in shown and shown.encode()
    assert "\\u" in shown or "` [2J.wav`" in shown  # names of recordings are cleaned as in transcripts


def test_a_terminal_of_another_encoding_is_written_to() -> None:
    raw = io.BytesIO()
    stream = streams.Escaping(io.TextIOWrapper(raw, encoding="latin-1"))
    print("Äл", file=stream, flush=True)
    assert raw.getvalue() == "Ä\\u043b\n".encode("latin-1")


class LibsndfileError(RuntimeError):
    __module__ = "soundfile"


class SafetensorError(Exception):
    __module__ = "safetensors_rust"


def wrapped() -> Exception:
    error = RuntimeError("unknown")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device", "/x/a.flac")
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.json"), "a.json: there is no space left"),
        (OSError(errno.EDQUOT, "Quota"), "doctor: the quota of the disk"),
        (OSError(errno.EROFS, "Read-only", "b"), "b: the disk can only be read"),
        (PermissionError(errno.EACCES, "Permission denied", b"c\xff"), "c\\udcff: Permission denied"),
        (wrapped(), "/x/a.flac: there is no space left"),
        (LibsndfileError("Error opening 'a': System error."), "is the disk full"),
        (SafetensorError("Error: I/O error: No space left on device (os error 28)"), "no space left"),
        (RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos 64 vs 0"), "no space left"),
        (MemoryError(), "`doctor` must have more memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "must have more memory"),
        (IsADirectoryError(21, "Is a directory", "d"), "d: Is a directory"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raising(error), monkeypatch) == 2
    shown = capsys.readouterr().err
    assert line in shown and shown.count("\n") == 1


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("shapes differ"), AssertionError()])
def test_faults_of_ours_are_not_hidden(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(type(error)):
        run(raising(error), monkeypatch)


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_its_status_and_tidies_up(number: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tidied = []

    def command() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            tidied.append(number)

    before = signal.getsignal(signal.SIGTERM)
    assert run(command, monkeypatch) == status and tidied == [number]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_was_stopped_ends_with_the_status_of_the_signal(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from noisewise.training.loop import Interrupted

    assert run(raising(Interrupted("stopped at step 1", number)), monkeypatch) == 128 + number
    assert capsys.readouterr().err == "noisewise: stopped at step 1\n"


@pytest.mark.skipif(os.name == "nt", reason="no pipes of this kind")
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_goes_is_no_error(lines: int) -> None:
    code = (
        "import sys; from types import SimpleNamespace; from noisewise.cli import main\n"
        f"def command():\n    for _ in range({lines}): print('line')\n"
        "main.import_module = lambda name: SimpleNamespace(command=command)\nsys.exit(main.main(['doctor']))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("verb", ["--help", "unknown"])
def test_a_full_standard_output_is_one_line(verb: str) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "noisewise", verb]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
