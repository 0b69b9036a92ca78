"""Servers of this folder's tests: the real thing on loopback, and a client of the standard library."""

import http.client
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from noisewise.checkpoints.model_folder import BOX
from noisewise.serving import app, models, realtime, server
from noisewise.serving.keys import Keys
from noisewise.serving.limits import Limits
from noisewise.serving.metrics import Metrics
from noisewise.serving.service import Service

RECORDINGS = BOX.parent / "recordings"
AN4 = Path(__file__).parents[1] / "fixtures" / "an4_ctc"
"""A small recogniser, which these servers have under the name `box`."""
SIX_TWO_FOUR = RECORDINGS / "enter_six_two_four.flac"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


@dataclass(frozen=True)
class Client:
    """Sends requests to a server; `service` is its inside."""

    url: str
    service: Service

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(*self.place, timeout=60)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, None, **headers)

    def post(
        self,
        file: Path | bytes | None = SIX_TWO_FOUR,
        fields: dict[str, Any] | None = None,
        path: str = "/v1/audio/transcriptions",
        name: str = "a.flac",
        **headers: str,
    ) -> Answer:
        content = file.read_bytes() if isinstance(file, Path) else file
        body, kind = form(fields or {}, content, name)
        return self.request("POST", path, body, Content_Type=kind, **headers)


def form(fields: dict[str, Any], file: bytes | None, name: str = "a.flac") -> tuple[bytes, str]:
    """A form as SDKs send it: a list repeats its field."""
    boundary = uuid.uuid4().hex
    parts: list[bytes] = []
    for key, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            parts.append(f'Content-Disposition: form-data; name="{key}"\r\n\r\n{each}'.encode())
    if file is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: audio/x\r\n\r\n'
        parts.append(head.encode() + file)
    body = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


Serve = Callable[..., AbstractContextManager[Client]]


@contextmanager
def serving(*specifications: str, limits: dict[str, Any] | None = None, **options: Any) -> Iterator[Client]:
    """A server of models for the length of the block; ready."""
    metrics = Metrics()
    bounds = Limits(**(limits or {}))
    keys = Keys(options.pop("keys", ()))
    prompt_boost = options.pop("prompt_boost", None)
    further = options.pop("further", lambda service: [realtime.route(service)])
    options_beside = options.pop("beside", lambda service: [])
    queue = {"most_seconds": bounds.queue_seconds, **options.pop("queue", {})}
    served = models.load(specifications, queue=queue, observer=metrics.of_queue, **options)
    service = Service(served, bounds, keys, metrics, prompt_boost)
    beside = options_beside(service)
    made = server.made(app.app(service, further(service), beside), bounds)
    with server.running(made) as url:
        server._wait(lambda: service.is_ready)
        yield Client(url, service)


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Starts servers."""
    return serving


@pytest.fixture(scope="session")
def client(model_dir: Path, tagger_dir: Path) -> Iterator[Client]:
    """A client of a server of a small model, a tiny model under a name with a slash, and a tagger."""
    with serving(f"box={AN4}", f"org/tiny={model_dir}", f"sounds={tagger_dir}") as found:
        yield found
