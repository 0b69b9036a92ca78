"""A server that speaks the transcription API of OpenAI, around any recogniser that noisewise knows.

    python benchmarks/recognisers/openai_server.py box --port 8000
    noisewise evaluate ... --model openai:http://127.0.0.1:8000#box-over-http

`POST /v1/audio/transcriptions` takes a multipart form (RFC 7578) with a `file` in any format that noisewise reads, and
answers `{"text": ...}`, or plain text when the form says `response_format=text`; `model` may be any name. It is for
measurements on one machine: it has no key and no encryption, and listens on 127.0.0.1 alone unless told otherwise.
Standard library only, but for the recogniser.
"""

import argparse
import email.message
import io
import json
import re
import threading
from email.parser import BytesHeaderParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from noisewise.audio import waveform
from noisewise.errors import AudioError
from noisewise.evaluation.systems.loading import load
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, attempt

ROUTES = ("/v1/audio/transcriptions", "/audio/transcriptions")
MOST_BYTES = 32 << 20
"""Of a request."""
MOST_SECONDS = 600.0
"""Of a recording, so that a small compressed file cannot fill the memory."""
MOST_PARTS, MOST_HEAD = 32, 8192
"""Parts of a form, and bytes in the head of each."""
BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
"""RFC 2046, 5.1.1."""


class Refused(Exception):
    """A request that cannot be answered."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a recogniser, as for noisewise evaluate --model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one, which is printed")
    options = parser.parse_args()
    with listening(load(options.model), options.host, options.port) as server:
        print(f"http://{options.host}:{server.server_port}", flush=True)
        server.serve_forever()


def listening(recogniser: NamedRecogniser, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server that is bound to its port; `serve_forever` answers. Recordings go through the recogniser one by one."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        timeout = 60  # seconds without a byte

        def do_POST(self) -> None:
            try:
                if self.path.partition("?")[0] not in ROUTES:
                    raise Refused(404, f"there is only POST {ROUTES[0]}")
                fields = form(self.headers.get("Content-Type", ""), self.body())
                with lock:
                    text = transcript_of(recogniser, fields.get("file"))
                self.answer(200, text, plain=fields.get("response_format") == b"text")
            except Refused as refused:
                self.answer(refused.status, str(refused))

        def body(self) -> bytes:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()):
                raise Refused(411, "the request must say its Content-Length")
            if len(length) > 12 or int(length) > MOST_BYTES:
                raise Refused(413, f"the request must have at most {MOST_BYTES} bytes")
            content = self.rfile.read(int(length))
            if len(content) < int(length):
                raise Refused(400, "the request must be as long as its Content-Length")
            return content

        def answer(self, status: int, text: str, *, plain: bool = False) -> None:
            error = {"error": {"message": text, "type": "invalid_request_error"}}
            values: dict[str, Any] = {"text": text} if status == 200 else error
            content = (text + "\n" if plain else json.dumps(values)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8" if plain else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return ThreadingHTTPServer((host, port), Handler)


def transcript_of(recogniser: NamedRecogniser, file: bytes | None) -> str:
    """The text of one recording."""
    if file is None:
        raise Refused(400, "the form must have a `file`")
    try:
        samples = waveform.load(io.BytesIO(file), max_seconds=MOST_SECONDS, allow_silent=True)
    except AudioError as error:
        raise Refused(400, str(error)) from error
    (found,) = attempt(recogniser.recognise, [samples])
    if isinstance(found, Failure):
        raise Refused(422, found.reason)
    return found


def form(content_type: str, body: bytes) -> dict[str, bytes]:
    """Names and contents of the parts of a multipart form; of two parts of one name the last."""
    head = email.message.Message()
    head["Content-Type"] = " ".join(content_type.split())
    boundary = head.get_boundary("") or ""
    if head.get_content_type() != "multipart/form-data" or not BOUNDARY.fullmatch(boundary):
        raise Refused(400, "the request must be multipart/form-data with a boundary")
    mark = f"\r\n--{boundary}".encode()
    _, *parts = (b"\r\n" + body).split(mark, MOST_PARTS + 1)
    if len(parts) > MOST_PARTS or not parts or not parts[-1].startswith(b"--"):
        raise Refused(400, f"the form must have at most {MOST_PARTS - 1} parts and end with its boundary")
    return dict(map(_part, parts[:-1]))


def _part(part: bytes) -> tuple[str, bytes]:
    start, line, rest = part.partition(b"\r\n")
    head, blank, content = rest.partition(b"\r\n\r\n")
    if start.strip(b" \t") or not line or not blank or len(head) > MOST_HEAD:
        raise Refused(400, "every part of the form must have a head, a blank line and a content")
    name = BytesHeaderParser(policy=HTTP).parsebytes(head + b"\r\n\r\n").get_param("name", header="Content-Disposition")
    if not isinstance(name, str):
        raise Refused(400, "every part of the form must have a name")
    return name, content


if __name__ == "__main__":
    main()
