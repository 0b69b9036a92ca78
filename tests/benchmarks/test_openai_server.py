"""The server around a recogniser: its grid is that of the recogniser, and broken requests are refused."""

import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.recognisers import openai_server
from noisewise.audio.pcm import pcm16
from noisewise.cli import main as cli
from noisewise.evaluation.systems.loading import load as load_recogniser
from noisewise.evaluation.systems.openai import form, wav
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser
from tests.corpus import write_corpus


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Runs a server around a recogniser until the test ends; gives its address."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    running = []

    def start(recogniser: NamedRecogniser) -> str:
        server = openai_server.listening(recogniser)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def lengths(waveforms: list[np.ndarray]) -> list[str | Failure]:
    return [Failure("cannot be read") if len(one) == 13 else f"{len(one)} samples" for one in waveforms]


def test_a_grid_over_http_is_that_of_the_recogniser_itself(
    serve: object, tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    url = serve(load_recogniser(str(model_dir)))
    options = ["--noise", "noise", "--snr", "0", "10", "--workers", "2"]
    assert cli.main(["evaluate", "corpus", "--model", f"openai:{url}#served", *options, "-o", "served.json"]) == 0
    assert cli.main(["evaluate", "corpus", "--model", str(model_dir), *options, "-o", "own.json"]) == 0
    served, own = (json.loads((tmp_path / name).read_text()) for name in ("served.json", "own.json"))
    assert served["per_item"]["hypotheses"] == own["per_item"]["hypotheses"]
    assert len({text for texts in own["per_item"]["hypotheses"].values() for text in texts}) > 8  # not all empty
    for key in ("clean", "cells", "averages"):
        assert served[key] == own[key]


def test_what_arrives_is_what_was_sent_in_any_format(serve: object) -> None:
    received: list[np.ndarray] = []

    def keep(waveforms: list[np.ndarray]) -> list[str]:
        received.extend(waveforms)
        return ["a\nb"] * len(waveforms)

    url = serve(NamedRecogniser("keep", keep))
    sound = np.random.default_rng(0).normal(0, 0.1, 999).astype(np.float32)
    assert load_recogniser(f"openai:{url}").recognise([sound]) == ["a b"]
    flac = io.BytesIO()
    soundfile.write(flac, pcm16(sound)[0], 16_000, format="FLAC")
    assert ask(url, *form([("response_format", "text")], flac.getvalue())) == (200, b"a\nb\n")
    for one in received:
        assert np.array_equal(one, pcm16(sound)[0] / np.float32(32768))


def test_a_failure_of_the_recogniser_is_one_of_the_recording(serve: object) -> None:
    url = serve(NamedRecogniser("lengths", lengths))
    silence = [np.zeros(size, np.float32) for size in (12, 13)]
    assert load_recogniser(f"openai:{url}").recognise(silence) == ["12 samples", Failure("status 422: cannot be read")]


DRAWN, KIND = form([("model", "m")], wav(np.zeros(20, np.float32)))
MARK = b"0123456789abcdef" * 2  # not the one drawn: names of tests must be the same in every process
GOOD = DRAWN.replace(KIND.partition("boundary=")[2].encode(), MARK)
KIND = "multipart/form-data; boundary=" + MARK.decode()
EMPTY = b"--" + MARK + b'\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (GOOD, "application/json", "must be multipart"),
        (GOOD, "multipart/form-data", "with a boundary"),
        (GOOD, "multipart/form-data; boundary=" + "x" * 71, "with a boundary"),
        (GOOD, "multipart/form-data; boundary=other", "end with its boundary"),
        (GOOD.removesuffix(b"--\r\n"), KIND, "end with its boundary"),
        (GOOD[: len(GOOD) // 2], KIND, "end with its boundary"),
        (EMPTY * 40 + GOOD, KIND, "most 31 parts"),
        (b"--" + MARK + b"\r\nno head\r\n--" + MARK + b"--", KIND, "must have a head"),
        (b"--" + MARK + b"\r\nX: " + b"y" * 9000 + b"\r\n\r\n\r\n--" + MARK + b"--", KIND, "must have a head"),
        (b"--" + MARK + b"\r\nX: y\r\n\r\n\r\n--" + MARK + b"--", KIND, "must have a name"),
        (GOOD.replace(b'name="file"', b'name="other"'), KIND, "must have a `file`"),
        (GOOD.replace(b"RIFF", b"JUNK"), KIND, "must be audio"),
        (b"", KIND, "end with its boundary"),
    ],
)  # fmt: skip
def test_a_broken_form_is_refused(serve: object, body: bytes, kind: str, message: str) -> None:
    url = serve(NamedRecogniser("lengths", lengths))
    status, answer = ask(url, body, kind)
    assert status == 400 and message in json.loads(answer)["error"]["message"]
    assert ask(url, GOOD, KIND) == (200, b'{"text": "20 samples"}')  # the server goes on


@pytest.mark.parametrize(
    ("headers", "route", "status"),
    [
        ({"Content-Length": "99999999999999999999"}, "/v1/audio/transcriptions", 413),
        ({"Content-Length": str(openai_server.MOST_BYTES + 1)}, "/v1/audio/transcriptions", 413),
        ({"Content-Length": "-1"}, "/v1/audio/transcriptions", 411),
        ({"Content-Length": "\u00b2"}, "/v1/audio/transcriptions", 411),
        ({}, "/v1/audio/translations", 404),
    ],
)
def test_lengths_and_routes(serve: object, headers: dict[str, str], route: str, status: int) -> None:
    url = serve(NamedRecogniser("lengths", lengths))
    assert ask(url, b"", KIND, route, **headers)[0] == status


def test_a_boundary_within_the_content_does_not_end_it() -> None:
    content = b"--" + MARK + b" and \r\n-" + MARK + b"\r\n\r\n"
    body, kind = form([("model", "m")], content)
    assert openai_server.form(kind, body) == {"model": b"m", "file": content}
    assert openai_server.form('multipart/form-data; charset=utf-8; boundary="a b"', b"pre\r\n--a b--post") == {}


def ask(url: str, body: bytes, kind: str, route: str = "/v1/audio/transcriptions", **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url + route, body, {"Content-Type": kind, **headers}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
