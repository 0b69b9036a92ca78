"""`noisewise serve`: its options, and the process from its start to a signal."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from noisewise.cli.main import main


def test_options_that_cannot_be_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--sockets", "0"]) == 2
    assert main(["serve", "--port", "0", "--model", str(tmp_path / "missing")]) == 2
    assert main(["serve", "--port", "0", "--api-key-file", str(tmp_path / "missing")]) == 2
    shown = capsys.readouterr().err.splitlines()
    assert [line.split(" must ")[0] for line in shown] == [
        "noisewise: `sockets`",
        f"noisewise: `{tmp_path / 'missing'}`",
        "noisewise: --api-key-file",
    ]


def test_it_serves_until_a_signal(model_dir: Path) -> None:
    words = [sys.executable, "-m", "noisewise", "serve", "--model", f"tiny={model_dir}", "--port", "0"]
    environment = {**os.environ, "NOISEWISE_API_KEY": "sk-for-a-test"}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        url = re.findall(r"http://127\.0\.0\.1:\d+", line)[0]
        assert line.startswith("noisewise: tiny at ")
        with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
