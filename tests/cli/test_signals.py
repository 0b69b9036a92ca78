"""Exit status after signals."""

import os
import signal

import pytest

from noisewise.cli.signals import ends_by_signals


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_block_and_cleans_up(number: signal.Signals, status: int) -> None:
    before, cleaned = signal.getsignal(signal.SIGTERM), []
    with pytest.raises(SystemExit) as stop, ends_by_signals():
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            cleaned.append(True)
    assert stop.value.code == status and cleaned and signal.getsignal(signal.SIGTERM) == before
