"""A local server that speaks the transcription API: what it is sent, and what its refusals become."""

import email
import io
import json
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.audio.pcm import pcm16
from noisewise.cli import main as cli
from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems.loading import load as load_recogniser
from noisewise.evaluation.systems.openai import Server, address
from noisewise.evaluation.systems.protocol import Failure, attempt
from tests.corpus import write_corpus


@dataclass
class Fake:
    """A server whose answers a test chooses: `(status, headers, body)` for the number of the request and the length."""

    answer: Callable[[int, int], tuple[int, dict[str, str], Any]]
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    together: int = 0
    most_together: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def text(number: int, length: int) -> tuple[int, dict[str, str], Any]:
    """Every recording is transcribed as the number of its samples."""
    return 200, {}, {"text": f" {length}\nsamples "}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    server = Fake(text)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = parts(self.headers["Content-Type"], body)
            request |= {"path": self.path, "authorization": self.headers.get("Authorization")}
            with server.lock:
                server.together += 1
                server.most_together = max(server.most_together, server.together)
                number = len(server.seen)
                server.seen.append(request)
            status, headers, answer = server.answer(number, request["length"])
            with server.lock:  # before the answer: when it arrives, the client may ask again
                server.together -= 1
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_port}"
    yield server
    listening.shutdown()
    thread.join()
    listening.server_close()


def parts(content_type: str, body: bytes) -> dict[str, Any]:
    """The form as the parser of the standard library reads it."""
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    found: dict[str, Any] = {}
    for part in message.get_payload():
        name = part.get_param("name", header="Content-Disposition")  # type: ignore[union-attr]
        found[str(name)] = part.get_payload(decode=True)  # type: ignore[union-attr]
        if name == "file":
            found["filename"] = part.get_filename()  # type: ignore[union-attr]
    with wave.open(io.BytesIO(found["file"])) as file:
        found["form"], found["length"] = file.getparams()[:3], file.getnframes()
        found["samples"] = np.frombuffer(file.readframes(-1), "<i2")
    return found


def sound(length: int) -> np.ndarray:
    return np.random.default_rng(length).normal(0, 0.1, length).astype(np.float32)


def server(fake: Fake, pauses: list[float] | None = None, **options: Any) -> Server:
    """A client that does not sleep."""
    sleep = (pauses if pauses is not None else []).append
    return Server(*address(fake.url), sleep=sleep, **options)


def test_what_is_sent_and_what_comes_back(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    named = load_recogniser(f"openai:{fake.url}/v1#tiny&language=en", workers=2)
    waveform = sound(1600)
    assert attempt(named.recognise, [waveform, sound(800)]) == ["1600 samples", "800 samples"]
    seen = next(one for one in fake.seen if one["length"] == 1600)
    assert seen["path"] == "/v1/audio/transcriptions" and seen["authorization"] == "Bearer sk-secret"
    assert (seen["model"], seen["language"], seen["response_format"]) == (b"tiny", b"en", b"json")
    assert seen["form"] == (1, 2, 16_000) and seen["filename"] == "audio.wav"
    assert np.array_equal(seen["samples"], pcm16(waveform)[0])
    assert named.details["model"] == "tiny" and "sk-secret" not in str(named.details) + named.name


def test_without_a_key_none_is_sent_and_the_order_is_kept(fake: Fake) -> None:
    ready = threading.Event()

    def slow_first(number: int, length: int) -> tuple[int, dict[str, str], Any]:
        if length == 100:
            ready.wait(5)
        elif length == 103:
            ready.set()
        return text(number, length)

    fake.answer = slow_first
    found = load_recogniser(f"openai:{fake.url}", workers=2).recognise([sound(100 + one) for one in range(4)])
    assert found == [f"{100 + one} samples" for one in range(4)]
    assert fake.most_together == 2 and fake.seen[0]["authorization"] is None and fake.seen[0]["model"] == b"whisper-1"


def test_too_many_requests_are_repeated_after_the_time_the_server_asks_for(fake: Fake) -> None:
    fake.answer = lambda number, length: (429, {"Retry-After": "7"}, {}) if number < 2 else text(number, length)
    pauses: list[float] = []
    assert server(fake, pauses).transcribe(sound(10)) == "10 samples"
    assert pauses == [7.0, 7.0] and len(fake.seen) == 3


def test_the_pause_doubles(fake: Fake) -> None:
    fake.answer = lambda number, length: (503, {}, b"busy") if number < 4 else text(number, length)
    pauses: list[float] = []
    assert server(fake, pauses).transcribe(sound(10)) == "10 samples"
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_recording_that_breaks_the_server_fails_alone(fake: Fake) -> None:
    fake.answer = lambda number, length: (
        (500, {}, {"error": {"message": "boom"}}) if length == 11 else text(number, length)
    )
    client = server(fake)
    assert [client.transcribe(sound(length)) for length in (10, 11, 12)] == [
        "10 samples", Failure("status 500: boom"), "12 samples",
    ]  # fmt: skip
    assert len(fake.seen) == 2 + 5


def test_a_recording_that_is_refused_is_not_sent_again(fake: Fake) -> None:
    fake.answer = lambda number, length: (400, {}, {"error": "audio too short"})
    assert server(fake).transcribe(sound(10)) == Failure("status 400: audio too short")
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    ("status", "remedy", "requests"),
    [(401, "OPENAI_API_KEY", 1), (404, "the model after #", 1), (429, "--workers", 5), (307, "correct the address", 1)],
)
def test_what_no_other_recording_would_change_ends_the_run(fake: Fake, status: int, remedy: str, requests: int) -> None:
    fake.answer = lambda number, length: (status, {"Location": fake.url}, {"message": "no, sk-secret"})
    with pytest.raises(NoisewiseError, match=remedy) as caught:
        attempt(lambda waveforms: [server(fake, key="sk-secret").transcribe(one) for one in waveforms], [sound(10)] * 3)
    assert f"status {status}: no, ***" in str(caught.value) and len(fake.seen) == requests


def test_an_answer_that_takes_too_long_is_a_failure(fake: Fake) -> None:
    release = threading.Event()

    def never(number: int, length: int) -> tuple[int, dict[str, str], Any]:
        release.wait(5)
        return text(number, length)

    fake.answer = never
    assert server(fake, timeout_seconds=0.1).transcribe(sound(10)) == Failure("no answer within 0.1 s")
    release.set()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"text": null}', b"{}"])
def test_what_is_no_transcription_api_is_refused(fake: Fake, body: bytes) -> None:
    fake.answer = lambda number, length: (200, {}, body)
    with pytest.raises(NoisewiseError, match="is it a transcription API"):
        server(fake).transcribe(sound(10))


def test_a_server_that_is_not_there_ends_the_run() -> None:
    client = Server("http://127.0.0.1:9/v1/audio/transcriptions", (), sleep=lambda _: None)
    with pytest.raises(NoisewiseError, match="must be reachable, but 5 attempts"):
        client.transcribe(sound(10))


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("http://a:8000", "http://a:8000/v1/audio/transcriptions"),
        ("https://a/v1/", "https://a/v1/audio/transcriptions"),
        ("https://a/x?version=2", "https://a/x/v1/audio/transcriptions?version=2"),
        ("https://a/v1/audio/transcriptions#m", "https://a/v1/audio/transcriptions"),
    ],
)
def test_short_addresses_are_completed(target: str, url: str) -> None:
    assert address(target)[0] == url


@pytest.mark.parametrize(
    "target", ["", "localhost:8000", "ftp://a", "file:///etc/passwd", "http://u:p@a", "http://a#m&x"]
)
def test_what_is_no_address_is_refused(target: str) -> None:
    with pytest.raises(NoisewiseError, match="must"):
        load_recogniser(f"openai:{target}")


def test_a_grid_through_the_command_asks_nothing_twice(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    fake.answer = lambda number, length: (
        (429, {"Retry-After": "0.01"}, {}) if number == 2 else (200, {}, {"text": "no"})
    )
    words = ["evaluate", "corpus", "--model", f"openai:{fake.url}#tiny", "--noise", "noise", "--snr", "0", "10"]
    words += ["--workers", "3", "--cache", "texts.jsonl"]
    assert cli.main([*words, "-o", "a.json"]) == 0
    asked = len(fake.seen)
    assert asked == 8 * 5 + 1, "clean speech, two types at two ratios, and one request again"
    assert cli.main([*words, "-o", "b.json"]) == 0
    a, b = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert len(fake.seen) == asked and a["cells"] == b["cells"] and a["system_details"]["model"] == "tiny"
    assert 0 < a["clean"]["rates"]["wer"]["value"] < 1 and "texts.jsonl" not in a["command"]
