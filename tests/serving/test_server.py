"""The server against hostile clients, and its end."""

import http.client
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from noisewise.errors import RunError
from noisewise.serving import app, models, server
from noisewise.serving.limits import Limits
from noisewise.serving.service import Service
from tests.serving.conftest import Client, Serve, form

PATIENCE = {"header_seconds": 0.4, "upload_seconds": 0.5, "sockets": 60, "header_bytes": 4096}


def raw(client: Client, content: bytes, seconds: float = 10.0) -> bytes:
    """Everything that comes back until the server closes."""
    with socket.create_connection(client.place, timeout=seconds) as connection:
        connection.sendall(content)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def test_hostile_clients(serve: Serve, model_dir: Path) -> None:
    with serve(f"tiny={model_dir}", limits=PATIENCE) as client:
        head = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\n"
        kind = b"Content-Type: multipart/form-data; boundary=x\r\n"
        assert code(raw(client, b"")) == (408, "header_timeout")
        assert code(raw(client, head)) == (408, "header_timeout")
        assert code(raw(client, head + b"X: " + b"a" * 5000)) == (431, "header_too_large")
        assert code(raw(client, b"\x16\x03\x01 this is TLS\r\n\r\n")) == (400, "invalid_http")
        assert code(raw(client, head + kind + b"Content-Length: 1000\r\n\r\n--x")) == (408, "upload_timeout")
        assert _after_an_answer(client)
        _half_a_request(client)
        _many_sockets(client)
        assert client.post(fields={"response_format": "text"}).status == 200
        assert (client.service.admission.requests, client.service.admission.spooled) == (0, 0)


def _after_an_answer(client: Client) -> bool:
    """Whether a body that goes on after its answer is cut off."""
    with socket.create_connection(client.place, timeout=10) as connection:
        connection.sendall(b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        connection.recv(65_536)
        try:
            for _ in range(100):
                connection.sendall(b"x" * 100)
                time.sleep(0.02)
        except OSError:
            return True
    return False


def _half_a_request(client: Client) -> None:
    """Go away in the middle of a body, and before the answer."""
    body, kind = form({}, bytes(50_000))
    head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n"
    for sent in (body[:20_000], body):
        with socket.create_connection(client.place, timeout=10) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + sent)


def _many_sockets(client: Client) -> None:
    """Two hundred connections: those beyond the bound are refused, and when they are gone all is as before."""
    sockets = [socket.create_connection(client.place, timeout=10) for _ in range(200)]
    last = b"".join(iter(lambda: sockets[-1].recv(65_536), b""))
    assert code(last) == (503, "too_many_connections")
    for each in sockets:
        each.close()
    time.sleep(0.2)


def test_it_ends_when_what_it_accepted_is_done() -> None:
    served = models.load([f"slow=python:{__name__}:slowly"])
    service = Service(served, Limits())
    made = server.made(app.app(service), service.limits)
    answers: list[Any] = []
    with server.running(made) as url:
        server._wait(lambda: service.is_ready)
        client = Client(url, service)
        threads = [threading.Thread(target=lambda: answers.append(client.post())) for _ in range(3)]
        for each in threads:
            each.start()
        server._wait(lambda: service.admission.requests == 3, 10)
        time.sleep(0.2)
        made.should_exit = True
        time.sleep(0.3)
        with pytest.raises(OSError):
            client.get("/health")
    for each in threads:
        each.join(10)
    assert [each.json["text"] for each in answers] == ["SLOW"] * 3


def slowly(waveforms: list[Any]) -> list[str]:
    time.sleep(1.0)
    return ["SLOW"] * len(waveforms)


def test_an_address_that_is_taken_is_said() -> None:
    with server.bound("127.0.0.1", 0) as taken, pytest.raises(RunError, match="--port must be free"):
        server.bound("127.0.0.1", taken.getsockname()[1])


def test_connections_are_kept_alive(client: Client) -> None:
    connection = http.client.HTTPConnection(*client.place, timeout=10)
    for _ in range(3):
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b'{"status":"ok"}'
    connection.close()
