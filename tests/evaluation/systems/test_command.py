"""Programs as recognisers; a failure is never an empty text."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from noisewise.evaluation.systems.loading import load as load_recogniser
from noisewise.evaluation.systems.protocol import Failure, attempt

QUIET = np.full(1600, 0.1, dtype=np.float32)


def program(folder: Path, source: str) -> str:
    """A specification of a program written in Python."""
    path = folder / "program.py"
    path.write_text("import sys, time, wave, subprocess\n" + source)
    return f"command:{sys.executable} {path}"


def test_a_program_reads_sixteen_bit_mono_at_16_khz(tmp_path: Path) -> None:
    source = "print(*wave.open(sys.argv[1]).getparams()[:4])"
    assert attempt(load_recogniser(program(tmp_path, source)).recognise, [QUIET]) == ["1 2 16000 1600"]


def test_the_path_stands_where_the_braces_are(tmp_path: Path) -> None:
    recogniser = load_recogniser(program(tmp_path, "print(*sys.argv[2:], sys.argv[1][-4:])") + " --file={} last")
    assert attempt(recogniser.recognise, [QUIET]) == ["last .wav"]


def test_lines_are_joined_and_nothing_printed_is_an_empty_text(tmp_path: Path) -> None:
    assert load_recogniser(program(tmp_path, "print('ONE\\n  TWO \\n')")).recognise([QUIET]) == ["ONE TWO"]
    assert load_recogniser(program(tmp_path, "pass")).recognise([QUIET]) == [""]


def test_a_failing_program_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    source = "print('HALF A TEXT'); print('first', file=sys.stderr); sys.exit('no model for ' + sys.argv[1])"
    [found] = load_recogniser(program(tmp_path, source)).recognise([QUIET])
    assert found == Failure("exit status 1: no model for 000000.wav"), "without the folder of this machine"


def test_only_the_culprit_fails_and_the_order_is_kept(tmp_path: Path) -> None:
    source = (
        "n = wave.open(sys.argv[1]).getnframes()\n"
        "time.sleep(0.3 if n == 1000 else 0)\n"
        "sys.exit(3) if n == 1001 else print(n)"
    )
    waveforms = [QUIET[:length] for length in (1000, 1001, 1002, 1003)]
    found = load_recogniser(program(tmp_path, source), workers=3).recognise(waveforms)
    assert found == ["1000", Failure("exit status 3: nothing on stderr"), "1002", "1003"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_a_program_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(2); open({str(mark)!r}, 'w')"
    source = f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    start = time.monotonic()
    found = load_recogniser(program(tmp_path, source), timeout_seconds=1.0).recognise([QUIET])
    assert found == [Failure("no answer within 1 s")]
    assert time.monotonic() - start < 5
    time.sleep(2)
    assert not mark.exists(), "the child must not live on"


def test_the_wav_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    [found] = load_recogniser("command:echo").recognise([QUIET])
    assert str(found).startswith(str(tmp_path)) and not os.path.exists(str(found))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
@pytest.mark.parametrize("parent", ["time.sleep(60)", "print('DONE')", "print('DONE'); sys.exit(3)"])
@pytest.mark.parametrize(
    "child", ["time.sleep(30)", "[(print('x' * 100, flush=True), time.sleep(0.01)) for _ in range(3000)]"]
)
def test_a_grandchild_that_leaves_the_group_and_keeps_the_pipes_holds_nothing_up(
    parent: str, child: str, tmp_path: Path
) -> None:
    source = f"import os\nif os.fork() == 0: os.setsid(); {child}; os._exit(0)\n{parent}"
    start = time.monotonic()
    [found] = load_recogniser(program(tmp_path, source), timeout_seconds=2.0).recognise([QUIET])
    assert time.monotonic() - start < 6
    if "sleep(60)" in parent:
        assert found == Failure("no answer within 2 s")
    elif "exit" in parent:
        assert found == Failure("exit status 3: nothing on stderr")
    else:
        assert "DONE" in str(found) and not isinstance(found, Failure)


@pytest.mark.skipif(sys.platform == "win32", reason="read by another way there")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("piece", ["'y' * 65536", "'y\\n' * 100_000", "'\\N{SNOWMAN}' * 10_000"])
def test_output_without_end_stops_the_program(stream: str, piece: str, tmp_path: Path) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    source = f"while True: sys.{stream}.write({piece})"
    [found] = load_recogniser(program(tmp_path, source), timeout_seconds=60).recognise([QUIET])
    assert isinstance(found, Failure) and found.reason.startswith(f"{stream} must have")
    assert time.monotonic() - start < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


def test_much_output_that_ends_is_read(tmp_path: Path) -> None:
    source = "print('WORD ' * 100_000); print('e' * 3_000_000, file=sys.stderr); print('last', file=sys.stderr)"
    [found] = load_recogniser(program(tmp_path, source)).recognise([QUIET])
    assert found == " ".join(["WORD"] * 100_000)
    [found] = load_recogniser(program(tmp_path, source + "; sys.exit(1)")).recognise([QUIET])
    assert found == Failure("exit status 1: last")


@pytest.mark.parametrize("raw", [b"A\xffB", b"A\xed\xa0\x80B", "A\x1bB\ufffdC".encode()])
def test_what_is_not_utf_8_can_be_kept(raw: bytes, tmp_path: Path) -> None:
    [found] = load_recogniser(program(tmp_path, f"sys.stdout.buffer.write({raw!r})")).recognise([QUIET])
    assert str(found).encode().startswith(b"A") and "\ufffd" in str(found)
