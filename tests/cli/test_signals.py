"""Exit status after signals."""

import os
import signal
import time

import pytest

from noisewise.cli.signals import ends_by_signals


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_block_and_cleans_up(number: signal.Signals, status: int) -> None:
    before, cleaned = signal.getsignal(signal.SIGTERM), []
    interrupts = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what starts tests in the background ignores it
    try:
        with pytest.raises(SystemExit) as stop, ends_by_signals():
            try:
                os.kill(os.getpid(), number)
                time.sleep(20)
            finally:
                cleaned.append(True)
    finally:
        signal.signal(signal.SIGINT, interrupts)
    assert stop.value.code == status and cleaned and signal.getsignal(signal.SIGTERM) == before
