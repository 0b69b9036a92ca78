"""A process that is lost ends the others: whatever names it, in one line, and within the deadline."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from lightning_fabric import Fabric
from torch.distributed import DistBackendError, DistNetworkError, DistStoreError, TCPStore  # type: ignore[attr-defined]

from noisewise.training.loop import RunConfig, fabric_for
from noisewise.training.processes import LostProcess, lost_process

LOSSES = [
    RuntimeError("[/src/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:4: Connection reset by peer"),
    RuntimeError("[/src/gloo/transport/tcp/pair.cc:1] Connection closed by peer [127.0.0.1]:4\nand more"),
    RuntimeError("[/src/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 2000ms for recv operation"),
    DistStoreError("wait timeout after 2000ms"),
    DistNetworkError("failed to recv, got 0 bytes"),
    DistBackendError("NCCL error"),
]


@pytest.mark.parametrize("error", LOSSES)
def test_a_lost_process_is_one_line(error: RuntimeError) -> None:
    with (
        pytest.raises(LostProcess, match=r"all 2 processes.*within 7 s.*the same command") as caught,
        lost_process(2, 7),
    ):
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("world", "error"), [(1, LOSSES[0]), (2, RuntimeError("size mismatch for head.weight")), (2, KeyError("restore"))]
)
def test_other_errors_stay_as_they_are(world: int, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, lost_process(world, 7):
        raise error
    assert caught.value is error


def test_a_rendezvous_ends_at_its_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(LostProcess), lost_process(2, 1):
        TCPStore("127.0.0.1", 0, world_size=2, is_master=True, timeout=timedelta(seconds=1))
    assert time.monotonic() - started < 60


def test_the_deadline_is_that_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISEWISE_PARENT", "0")  # and so is removed afterwards
    monkeypatch.setattr(Fabric, "launch", lambda fabric: None)
    fabric = fabric_for(RunConfig(devices=2, accelerator="cpu", timeout_seconds=7))
    assert fabric.strategy._timeout == timedelta(seconds=7)  # type: ignore[attr-defined]


WATCHING = """
import os, subprocess, sys, time
from noisewise.training import processes
if sys.argv[1] == "parent":
    processes.name_parent()
    subprocess.Popen([sys.executable, __file__, sys.argv[2]], env={**os.environ, "LOCAL_RANK": "1"})
    time.sleep(0.2)
    os._exit(9)
processes.LOOK_EVERY_SECONDS = 0.05
processes.watch_parent(2, 300)
if sys.argv[1] == "over":
    processes.let_parent_end()
time.sleep(4 if sys.argv[1] == "waiting" else 1)
print("went on", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="the parent can be told on POSIX alone")
@pytest.mark.parametrize(
    ("child", "shown"), [("waiting", "the process that started it has ended"), ("over", "went on")]
)
def test_the_end_of_the_parent_is_noticed_unless_the_run_is_over(child: str, shown: str, tmp_path: Path) -> None:
    script = tmp_path / "watching.py"
    script.write_text(WATCHING)
    source = str(Path(__file__).parents[2] / "src")
    environment = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "NOISEWISE_PARENT")}
    done = subprocess.run(  # which lasts until the child, too, has let its output go
        [sys.executable, script, "parent", child],
        env={**environment, "PYTHONPATH": source}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert shown in done.stdout + done.stderr and ("went on" in done.stdout) == (child == "over")
