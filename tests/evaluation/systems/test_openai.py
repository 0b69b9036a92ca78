"""A local server that speaks the transcription API: what it is sent, and what its refusals become."""

import contextlib
import email
import io
import json
import os
import shlex
import socket
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
        name = part.get_param("name", header="Content-Disposition")
        found[str(name)] = part.get_payload(decode=True)
        if name == "file":
            found["filename"] = part.get_filename()
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


KEY = "sk-SECRETSECRET0123456789"
Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def raw_server(script: Script) -> Iterator[str]:
    """A server that reads a request and then does what a script says with the connection."""
    listening = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(5)
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += connection.recv(65536)
                    body = head.partition(b"\r\n\r\n")[2]
                    length = int(head.lower().partition(b"content-length:")[2].split()[0])
                    while len(body) < length:
                        body += connection.recv(65536)
                    script(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        done.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def slowly(before: bytes, piece: bytes) -> Script:
    """Something at once, and then a piece every 20 ms for 20 s."""

    def script(connection: socket.socket) -> None:
        connection.sendall(before)
        for _ in range(1000):
            connection.sendall(piece)
            time.sleep(0.02)

    return script


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 400 No\r\nContent-Length: 5000\r\n\r\n", b" "),
        (b"HTTP/1.1 503 No\r\nContent-Length: 5000\r\n\r\n", b" "),
        (b"HTT", b"P"),
    ],
)
def test_one_deadline_holds_for_the_whole_request(before: bytes, piece: bytes) -> None:
    with raw_server(slowly(before, piece)) as url:
        start = time.monotonic()
        found = Server(*address(url), timeout_seconds=0.4, sleep=lambda _: None).transcribe(sound(10))
        assert found == Failure("no answer within 0.4 s") and time.monotonic() - start < 3


@pytest.mark.parametrize("head", [b"", b"Content-Length: 9000000\r\n"])
def test_an_answer_without_end_is_a_failure(head: bytes) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + b'{"text": "')
        for _ in range(200):
            connection.sendall(b"a" * 65536)

    with raw_server(script) as url:
        found = Server(*address(url), sleep=lambda _: None).transcribe(sound(10))
    assert isinstance(found, Failure) and "bytes at most" in found.reason


def test_an_answer_that_is_cut_short_is_requested_again() -> None:
    answers = iter([b'{"text"', b'{"text": "whole"}'])

    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + next(answers))

    with raw_server(script) as url:
        assert Server(*address(url), sleep=lambda _: None).transcribe(sound(10)) == "whole"


def outcome(call: Callable[[], object]) -> str:
    """What a call gives, or the sentence with which it is refused."""
    try:
        return repr(call())
    except NoisewiseError as error:
        return f"{error!r} {error}"


PLACES = st.sampled_from(
    ["body", "message", "reason", "header", "status", "text", "json", "url", "field", "exception", "stderr", "stdout"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=PLACES,
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60),
    padding=st.one_of(st.integers(0, 20), st.integers(80, 230)),
    between=st.sampled_from(["", "\u200b", "\u2060", " "]),
    status=st.sampled_from([200, 400, 401, 404, 500]),
)
def test_no_place_of_an_answer_shows_the_key(place: str, key: str, padding: int, between: str, status: int) -> None:
    shown = "x" * padding + between.join(key)
    latin = shown.encode("latin-1", "ignore")
    line, head, body = b"HTTP/1.1 %d No" % status, b"", b"{}"
    if place == "reason":
        line = b"HTTP/1.1 %d " % status + latin
    elif place == "header":
        head = b"%s\r\nRetry-After: %s\r\nLocation: %s\r\n" % (latin, latin, latin)
    elif place == "status":
        line = b"Bearer " + latin
    elif place == "body":
        body = shown.encode()
    elif place in ("message", "text", "json"):
        body = json.dumps(
            {"message": {"error": {"message": shown}}, "text": {"text": shown}}.get(place, [shown])
        ).encode()
    answer = line + b"\r\n" + head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", key)
        patch.setenv("no_proxy", "*")
        if place in ("url", "field"):
            target = f"http://127.0.0.1:9/{shown}#m" if place == "url" else f"http://[::1/#m&{shown}"
            found = outcome(lambda: load_recogniser(f"openai:{target}").details)
        elif place == "exception":
            found = outcome(lambda: attempt(raising(RuntimeError(shown)), [sound(10)]))
        elif place in ("stderr", "stdout"):
            source = f"import sys; sys.{place}.buffer.write({shown.encode()!r}); sys.exit({int(place == 'stderr')})"
            specification = f"command:{sys.executable} -c {shlex.quote(source)}"
            found = outcome(lambda: load_recogniser(specification).recognise([sound(10)]))
        else:
            with raw_server(lambda connection: connection.sendall(answer)) as url:
                client = Server(*address(url), key=key, sleep=lambda _: None, attempts=2)
                found = outcome(lambda: client.transcribe(sound(10)))
    seen = "".join(one for one in found if "!" <= one <= "~")
    assert not [part for start in range(len(key) - 7) if (part := key[start : start + 8]) in seen.replace("***", " ")]


def raising(error: Exception) -> Callable[[list[Any]], list[Any]]:
    """A recogniser that fails."""

    def recognise(waveforms: list[Any]) -> list[Any]:
        raise error

    return recognise


@pytest.mark.parametrize("end", ["\n", "\r\nX-Evil: 1", "\0", " ", "\u200b", "ä"])
def test_a_key_that_no_header_holds_is_refused_unseen(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {**os.environ, "OPENAI_API_KEY": KEY + end})
    with pytest.raises(NoisewiseError, match="`OPENAI_API_KEY` must be") as caught:
        load_recogniser("openai:http://localhost:8000")
    assert "SECRET" not in str(caught.value) and "Evil" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        "http://[::1",
        "http://[x]:3",
        "http://a:port",
        "http://a:99999",
        "http://a:0",
        "http://a b",
        "http://\0",
        "http://" + "a" * 70,
    ],
)
def test_broken_addresses_are_one_sentence(target: str) -> None:
    with pytest.raises(NoisewiseError, match="must name a server"):
        load_recogniser(f"openai:{target}")


def test_letters_of_any_alphabet_in_an_address_are_quoted() -> None:
    assert address("http://a/ä%20?b=ü")[0] == "http://a/%C3%A4%20/v1/audio/transcriptions?b=%C3%BC"


@pytest.mark.parametrize("raw", ["\\ud800", "A\\udcffB", "\\u0000 \\udfff"])
def test_a_text_that_cannot_be_encoded_is_cleaned(fake: Fake, raw: str) -> None:
    fake.answer = lambda number, length: (200, {}, b'{"text": "%s"}' % raw.encode())
    found = server(fake).transcribe(sound(10))
    assert "\ufffd" in str(found) and str(found).encode()


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"text": ' * 50_000, b'{"text": ' + b"9" * 5000 + b"}"])
def test_an_answer_of_strange_json_is_no_answer(fake: Fake, body: bytes) -> None:
    fake.answer = lambda number, length: (200, {}, body)
    with pytest.raises(NoisewiseError, match="is it a transcription API"):
        server(fake).transcribe(sound(10))
