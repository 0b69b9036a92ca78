"""What a server counts."""

import numpy as np

from noisewise.audio import waveform
from noisewise.decoding.hypothesis import Word
from noisewise.inference.transcript import Transcript
from noisewise.serving.metrics import Metrics
from tests.serving.conftest import SIX_TWO_FOUR


def test_audio_and_transcripts_are_counted() -> None:
    metrics = Metrics()
    metrics.received(np.zeros(16_000, np.float32), is_silent=True)
    metrics.received(np.full(8_000, 1.0, np.float32), is_silent=False)
    metrics.received(waveform.load(SIX_TWO_FOUR), is_silent=False)
    metrics.transcribed(Transcript("a", "GO", [Word("GO", 0, 1, 0.5)], 1.0, 0.5))
    metrics.transcribed(Transcript("a"))
    queue = metrics.of_queue("box")
    queue.queued(3)
    queue.ran(2, audio_seconds=10.0, seconds=1.0)
    lines = metrics.text().decode().splitlines()
    assert metrics.registry.get_sample_value("noisewise_snr_db_count") in (1.0, 2.0)
    for line in (
        "noisewise_audio_seconds_total 4.2440625",
        "noisewise_silent_recordings_total 1.0",
        "noisewise_clipped_recordings_total 1.0",
        "noisewise_confidence_count 1.0",
        'noisewise_queue_depth{model="box"} 3.0',
        'noisewise_batch_size_sum{model="box"} 2.0',
        'noisewise_real_time_factor_sum{model="box"} 0.1',
    ):
        assert line in lines


def test_servers_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.received(np.ones(16_000, np.float32), is_silent=False)
    assert "noisewise_audio_seconds_total 0.0" in other.text().decode()
