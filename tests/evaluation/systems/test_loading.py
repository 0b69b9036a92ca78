"""Models, programs and functions behind one call; a failure is never an empty text."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from noisewise.audio.waveform import load, save
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.rescoring import RescoringConfig
from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems.loading import parse
from noisewise.evaluation.systems.protocol import Failure, attempt, pcm16
from tests.inference.test_language_model import write_lm

QUIET = np.full(1600, 0.1, dtype=np.float32)


def program(folder: Path, source: str) -> str:
    """A specification of a program written in Python."""
    path = folder / "program.py"
    path.write_text("import sys, time, wave, subprocess\n" + source)
    return f"command:{sys.executable} {path}"


def test_sixteen_bit_samples_come_back_as_they_were(tmp_path: Path) -> None:
    samples = np.arange(-32768, 32768, dtype=np.int16)
    save(tmp_path / "all.wav", samples)
    found, scale = pcm16(load(tmp_path / "all.wav"))
    assert scale == 1.0 and np.array_equal(found, samples)


def test_only_what_exceeds_full_scale_is_scaled() -> None:
    assert pcm16(np.array([1.0, -1.0, 0.5], dtype=np.float32))[0].tolist() == [32767, -32768, 16384]
    found, scale = pcm16(np.array([-2.0, 1.0, 0.5], dtype=np.float32))
    assert scale == 0.5 and found.tolist() == [-32768, 16384, 8192]
    assert pcm16(np.zeros(0, dtype=np.float32))[0].shape == (0,)


def test_a_program_reads_sixteen_bit_mono_at_16_khz(tmp_path: Path) -> None:
    source = "print(*wave.open(sys.argv[1]).getparams()[:4])"
    assert attempt(parse(program(tmp_path, source)).recognise, [QUIET]) == ["1 2 16000 1600"]


def test_the_path_stands_where_the_braces_are(tmp_path: Path) -> None:
    recogniser = parse(program(tmp_path, "print(*sys.argv[2:], sys.argv[1][-4:])") + " --file={} last")
    assert attempt(recogniser.recognise, [QUIET]) == ["last .wav"]


def test_lines_are_joined_and_nothing_printed_is_an_empty_text(tmp_path: Path) -> None:
    assert parse(program(tmp_path, "print('ONE\\n  TWO \\n')")).recognise([QUIET]) == ["ONE TWO"]
    assert parse(program(tmp_path, "pass")).recognise([QUIET]) == [""]


def test_a_failing_program_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    source = "print('HALF A TEXT'); print('first', file=sys.stderr); sys.exit('no model for ' + sys.argv[1])"
    [heard] = parse(program(tmp_path, source)).recognise([QUIET])
    assert heard == Failure("exit status 1: no model for 000000.wav"), "without the folder of this machine"


def test_only_the_culprit_fails_and_the_order_is_kept(tmp_path: Path) -> None:
    source = (
        "n = wave.open(sys.argv[1]).getnframes()\n"
        "time.sleep(0.3 if n == 1000 else 0)\n"
        "sys.exit(3) if n == 1001 else print(n)"
    )
    waveforms = [QUIET[:length] for length in (1000, 1001, 1002, 1003)]
    heard = parse(program(tmp_path, source), workers=3).recognise(waveforms)
    assert heard == ["1000", Failure("exit status 3: nothing on stderr"), "1002", "1003"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_a_program_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(2); open({str(mark)!r}, 'w')"
    source = f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    start = time.monotonic()
    heard = parse(program(tmp_path, source), timeout_seconds=1.0).recognise([QUIET])
    assert heard == [Failure("no answer within 1 s")]
    assert time.monotonic() - start < 5
    time.sleep(2)
    assert not mark.exists(), "the child must not live on"


def test_the_wav_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    [heard] = parse("command:echo").recognise([QUIET])
    assert str(heard).startswith(str(tmp_path)) and not os.path.exists(str(heard))
    assert list(tmp_path.iterdir()) == []


def test_a_function_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outsider_a.py").write_text(
        "VERSIONS = {'ears': '2'}\ndef listen(waveforms):\n    return [str(len(one)) for one in waveforms]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    recogniser = parse("python:outsider_a:listen")
    assert recogniser.recognise([QUIET]) == ["1600"]
    assert recogniser.details == {"ears": "2"}
    with pytest.raises(NoisewiseError, match="'lisen' is none"):
        parse("python:outsider_a:lisen")


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("command:", "there is no ''"),
        ("command:no-such-program-here {}", "there is no 'no-such-program-here'"),
        ("command:echo 'unfinished", "must be a command line"),
        ("python:no_such_module_here:f", "cannot be imported"),
        ("python:", "cannot be imported"),
        ("no-such-folder", "no-such-folder"),
    ],
)
def test_what_does_not_exist_is_refused(specification: str, message: str) -> None:
    with pytest.raises(NoisewiseError, match=message):
        parse(specification)


def test_workers_and_timeout_must_be_positive() -> None:
    with pytest.raises(NoisewiseError, match="must be positive"):
        parse("command:echo", workers=0)
    with pytest.raises(NoisewiseError, match="must be positive"):
        parse("command:echo", timeout_seconds=0)


def test_a_model_folder_transcribes(model_dir: Path) -> None:
    recogniser = parse(str(model_dir))
    waveform = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    [heard] = attempt(recogniser.recognise, [waveform])
    assert isinstance(heard, str)
    assert len(recogniser.details["weights_sha256"]) == 64


def test_a_model_with_language_models_says_which(model_dir: Path, tmp_path: Path) -> None:
    """Transformers in both passes, by name and hash, without where they lie."""
    first, second = write_lm(tmp_path / "first"), write_lm(tmp_path / "second")
    rescoring = RescoringConfig(lm=str(second), nbest=4)
    decoding = DecodingConfig(search=BeamConfig(beam=4), lm=str(first), rescoring=rescoring)
    found = parse(str(model_dir), decoding=decoding)
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert all(isinstance(text, str) for text in found.recognise([noise, noise[:8000]]))
    said = json.loads(found.details["decoding"])
    assert (said["lm"], said["rescoring"]["lm"]) == ("first", "second")
    hashes = {found.details[f"{name}_sha256"] for name in ("lm", "rescoring_lm")}
    assert len(hashes) == 1 and str(tmp_path) not in json.dumps(found.details)
    (second / "README.md").write_text("another")
    again = parse(str(model_dir), decoding=decoding)
    assert again.details["rescoring_lm_sha256"] != again.details["lm_sha256"]
