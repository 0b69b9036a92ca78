"""The server itself: sockets within bounds, and an end that drops nothing that was accepted.

Uvicorn speaks HTTP; what it leaves open is closed here: heads that never end, more connections than allowed, bodies
that go on after their answer, and errors of HTTP in words of its own.
"""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from noisewise.errors import RunError
from noisewise.serving.api_error import INVALID, LIMITED
from noisewise.serving.limits import Limits

MESSAGE_BYTES = 16 * 2**20
"""Longest message of a WebSocket: 15 MiB of audio in base64 is more than any client sends, as OpenAI's."""
STOPS = (signal.SIGINT, signal.SIGTERM)
REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


def protocol(limits: Limits) -> type[H11Protocol]:
    """The protocol of a connection, with the bounds of a server."""

    class Bounded(H11Protocol):
        """HTTP/1.1 with bounds on heads and connections."""

        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.sockets:
                what = f"the server has {limits.sockets} open connections (--sockets) already; try again later"
                self._refuse(503, what, "too_many_connections")
                return
            self._watch(has_begun=True)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            if self.transport.is_closing():
                return
            if self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY:
                self.transport.close()  # nobody reads the rest
                return
            self._watch(has_begun=bool(self.conn.trailing_data[0]))

        def connection_lost(self, exc: Exception | None) -> None:
            self._unwatch()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            error = sys.exc_info()[1]
            if getattr(error, "error_status_hint", 400) == 431:
                what = f"the head of the request must be {limits.header_bytes} bytes at most (--header-bytes)"
                self._refuse(431, what, "header_too_large")
                return
            self._refuse(400, "the request is no HTTP/1.1", "invalid_http")

        def _watch(self, has_begun: bool) -> None:
            """Wait for the end of a head that has begun, and no longer when it is there."""
            if self.conn.their_state is not h11.IDLE:
                self._unwatch()
            elif has_begun and self._timer is None:
                self._timer = self.loop.call_later(limits.header_seconds, self._late)

        def _unwatch(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _late(self) -> None:
            self._timer = None
            what = f"the head of the request must come within {limits.header_seconds:g} s (--header-seconds)"
            self._refuse(408, what, "header_timeout")

        def _refuse(self, status: int, message: str, code: str) -> None:
            """Answer without the application, and close."""
            if self.transport.is_closing():
                return
            kind = LIMITED if status == 503 else INVALID
            error = {"message": message, "type": kind, "param": None, "code": code}
            body = json.dumps({"error": error}).encode()
            head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\nConnection: close\r\n"
            head += "Retry-After: 1\r\n" * (status == 503)
            self.transport.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            self.transport.close()

    return Bounded


class GracefulServer(uvicorn.Server):
    """A server that SIGINT and SIGTERM end when it has finished what it accepted; a second SIGINT ends it at once."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals for the length of the block; that they have ended the server is no error."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in STOPS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)


def made(application: ASGIApp, limits: Limits, stop_seconds: float | None = None) -> GracefulServer:
    """A server for an application.

    Args:
        application: as `noisewise.serving.app.app` makes it.
        limits: its bounds.
        stop_seconds: what was accepted is given up so long after a signal; None to finish it.
    """
    return GracefulServer(
        uvicorn.Config(
            application,
            http=protocol(limits),
            ws="websockets-sansio",
            ws_max_size=MESSAGE_BYTES,
            ws_per_message_deflate=False,  # a small message could be a large one
            h11_max_incomplete_event_size=limits.header_bytes,
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=2048,
            timeout_graceful_shutdown=None if stop_seconds is None else max(1, round(stop_seconds)),
        )
    )


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        RunError: the address cannot be used.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise RunError(
            f"--host and --port must be free, but {host}:{port} cannot be used ({why}); choose another"
        ) from error


def run(server: uvicorn.Server, sockets: Sequence[socket.socket]) -> None:
    """Serve until a signal comes."""
    asyncio.run(server.serve(sockets=list(sockets)))


@contextlib.contextmanager
def running(server: uvicorn.Server, host: str = "127.0.0.1") -> Iterator[str]:
    """A server in a thread of its own for the length of the block, such as a test; gives its address.

    Raises:
        RunError: it did not start.
    """
    listening = bound(host, 0)
    port = listening.getsockname()[1]
    thread = threading.Thread(target=run, args=(server, [listening]), daemon=True)
    thread.start()
    try:
        _wait(lambda: server.started or not thread.is_alive())
        if not server.started:
            raise RunError("the server must start, but did not; its log says why")
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _wait(for_what: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not for_what() and time.monotonic() < end:
        time.sleep(0.01)
