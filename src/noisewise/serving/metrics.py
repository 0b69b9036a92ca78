"""What a server counts, for Prometheus: requests, latency, queue, batches, real-time factor, and the audio itself."""

from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from noisewise.audio.files.protocol import Samples
from noisewise.audio.snr import wada_snr_db
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.inference.transcript import Transcript

SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
MOST_SECONDS = 60
"""The SNR of a recording is estimated from its beginning, so long at most."""
CLIPPED = 0.001
"""Share of samples at full scale from which a recording counts as clipped."""


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry, "namespace": "noisewise"}
        self.requests = Counter("requests", "Requests by route and status.", ["route", "status"], **made)
        self.errors = Counter("errors", "Errors by their code.", ["code"], **made)
        self.latency = Histogram(
            "request_seconds",
            "From the head of a request to its end.",
            ["route"],
            buckets=SECONDS,
            **made,
        )
        self.first_delta = Histogram(
            "first_delta_seconds", "From the head of a request to its first event.", buckets=SECONDS, **made
        )
        self.audio = Counter("audio_seconds", "Audio that was decoded.", **made)
        self.queue = Gauge("queue_depth", "Recordings that wait for a model.", ["model"], **made)
        self.batch = Histogram(
            "batch_size", "Recordings that go through a model at once.", ["model"], buckets=(1, 2, 4, 8, 16, 32), **made
        )
        self.real_time = Histogram(
            "real_time_factor",
            "Time of a batch over the length of its recordings.",
            ["model"],
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
            **made,
        )
        self.sessions = Gauge("sessions", "Open sessions of live recognition.", ["protocol"], **made)
        self.snr = Histogram(
            "snr_db",
            "Estimated SNR of recordings (WADA).",
            buckets=(-5, 0, 5, 10, 15, 20, 25, 30, 40, 60),
            **made,
        )
        self.silent = Counter("silent_recordings", "Recordings without any sound.", **made)
        self.clipped = Counter("clipped_recordings", "Recordings with samples at full scale.", **made)
        self.confidence = Histogram(
            "confidence", "Mean confidence of a transcript.", buckets=[step / 10 for step in range(1, 11)], **made
        )

    def received(self, samples: Samples, is_silent: bool) -> None:
        """Count a recording (T,)."""
        self.audio.inc(len(samples) / SAMPLE_RATE)
        if is_silent:
            self.silent.inc()
            return
        snr_db = wada_snr_db(samples[: MOST_SECONDS * SAMPLE_RATE])
        if snr_db is not None:
            self.snr.observe(snr_db)
        if float(np.mean(np.abs(samples) >= 0.999)) > CLIPPED:
            self.clipped.inc()

    def transcribed(self, transcript: Transcript) -> None:
        """Count a transcript."""
        if transcript.words:
            self.confidence.observe(transcript.confidence)

    def of_queue(self, model: str) -> "QueueMetrics":
        """What the queue of a model is observed by."""
        return QueueMetrics(self, model)

    def text(self) -> bytes:
        """All of them, in the text format of Prometheus."""
        return generate_latest(self.registry)


class QueueMetrics:
    """Observes the queue of one model."""

    def __init__(self, metrics: Metrics, model: str):
        self._queue = metrics.queue.labels(model)
        self._batch, self._real_time = metrics.batch.labels(model), metrics.real_time.labels(model)

    def queued(self, jobs: int) -> None:
        """So many jobs wait."""
        self._queue.set(jobs)

    def ran(self, jobs: int, audio_seconds: float, seconds: float) -> None:
        """A batch went through the model."""
        self._batch.observe(jobs)
        self._real_time.observe(seconds / max(audio_seconds, 1e-3))
