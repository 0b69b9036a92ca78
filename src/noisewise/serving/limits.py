"""Bounds of what a server takes from strangers; each has an option and an error of its own."""

from dataclasses import fields
from math import inf

from noisewise.config import above, config, within


@config
class Limits:
    """Bounds of a server.

    Raises:
        ConfigError: a bound that is not positive.

    Example:
        >>> Limits(upload_megabytes=0.5).upload_bytes
        524288
    """

    upload_megabytes: float = 100.0
    """Size of a request, in MiB."""
    spool_megabytes: float = 4096.0
    """Size of all requests that are being received or decoded at a time, in MiB; they lie on disk."""
    declared_seconds: float = 3600.0
    """Length of a recording in seconds, as its header states it."""
    decoded_seconds: float = 3600.0
    """Length of a recording in seconds, as it is decoded."""
    decoded_samples: int = 1_000_000_000
    """Samples of a recording, times its channels, at its own sample rate."""
    header_bytes: int = 16_384
    """Size of the head of a request."""
    header_seconds: float = 10.0
    """Time from a connection, or the first byte of a request, to the end of its head."""
    upload_seconds: float = 120.0
    """Time from the head of a request to the end of its body."""
    request_seconds: float = 600.0
    """Time from the head of a request to the end of its answer."""
    sockets: int = 1000
    """Open connections."""
    requests: int = 256
    """Requests that are being received, decoded or recognised, or wait for it."""
    queue_seconds: float = 7200.0
    """Audio that waits for a model, in seconds."""
    decoders: int = 2
    """Recordings that are decoded at a time."""
    fields: int = 100
    """Fields of a form, beside the file; each has at most 64 KiB."""
    most_hotwords: int = 200
    """Hotwords of a request."""
    sessions: int = 64
    """Sessions of the Realtime API and of Wyoming."""
    session_seconds: float = 300.0
    """Audio of a session that has not been committed, in seconds."""
    idle_seconds: float = 300.0
    """Time that a session may be silent: no message comes."""

    def __post_init__(self) -> None:
        for each in fields(self):
            above(0, **{each.name: getattr(self, each.name)})
        within(1024, inf, header_bytes=self.header_bytes)

    @property
    def upload_bytes(self) -> int:
        """Bytes of the largest request."""
        return int(self.upload_megabytes * 2**20)

    @property
    def spool_bytes(self) -> int:
        """Bytes of all requests together."""
        return int(self.spool_megabytes * 2**20)
