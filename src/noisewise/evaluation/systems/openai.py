"""`openai:URL#MODEL`: any server that answers POST /v1/audio/transcriptions, the transcription API of OpenAI.

One request for each utterance, a 16-bit wav file in a multipart form. The key comes from the environment variable
OPENAI_API_KEY, when it is set. An error that concerns one recording is a failure of that recording; one that concerns
the client (key, address, quota, no server) ends the run, because nothing was measured then.
"""

import contextlib
import http.client
import io
import json
import os
import socket
import threading
import time
import unicodedata
import urllib.request
import uuid
import wave
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit, urlunsplit

from noisewise.audio.pcm import pcm16
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Output, Waveform
from noisewise.safe_text import RUN, clean_text, received, shortened

KEY = "OPENAI_API_KEY"
"""Environment variable with the key."""
DEFAULT_MODEL = "whisper-1"
ROUTE = "/audio/transcriptions"
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 1.0
"""Doubled before each further attempt, unless the server states how long to wait."""
LONGEST_PAUSE_SECONDS = 60.0
MOST_BYTES = 4 << 20
"""Bytes of an answer that are read at most."""
MOST_BYTES_OF_A_REASON = 10_000
"""Bytes of an error's answer that are looked at where it is no JSON."""
AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}
"""Answers after which the same request may succeed."""
CLIENT_ERRORS = {301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 429}
"""Answers that no other recording would change; 429 is among them only after the last attempt."""


@dataclass(frozen=True)
class Server:
    """A server and how it is called."""

    url: str
    fields: tuple[tuple[str, str], ...]
    """Fields of the form beside the file: the model and what else the address named."""
    timeout_seconds: float = 60.0
    key: str | None = field(default=None, repr=False)
    pause_seconds: float = FIRST_PAUSE_SECONDS
    attempts: int = ATTEMPTS
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Refuse a key that no header can hold, without showing it.

        Raises:
            RecogniserError: the key has a space, a control character or a letter beyond ASCII.
        """
        strange = [character for character in self.key or "" if not "!" <= character <= "~"]
        if strange:
            named = unicodedata.name(strange[0], f"U+{ord(strange[0]):04X}").lower()
            raise RecogniserError(
                f"`{KEY}` must be printable ASCII without spaces, but has {len(strange)} other characters, first "
                f"{named}; set it again, without a line end or quotes"
            )

    def transcribe(self, waveform: Waveform) -> Output:
        """The text of one utterance (T,), or why there is none.

        Raises:
            RecogniserError: the server cannot be reached, or refuses whatever is asked.
        """
        body, content_type = form(self.fields, wav(waveform))
        for attempt in range(1, self.attempts + 1):
            pause: float | None = None
            try:
                answer = self._post(body, content_type)
            except TimeoutError:
                return Failure(f"no answer within {self.timeout_seconds:g} s")
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason, status = self._received(str(getattr(error, "reason", "") or error)) or type(error).__name__, 0
            else:
                if 200 <= answer.status < 300:
                    return self._text(answer.body)
                reason, status, pause = self._reason(answer), answer.status, answer.retry_after
            if status not in {0, *AGAIN}:
                break
            if attempt < self.attempts:
                self.sleep(min(pause or self.pause_seconds * 2 ** (attempt - 1), LONGEST_PAUSE_SECONDS))
        reason = shortened(reason)
        url = self._received(self.url)
        if status == 0:
            raise RecogniserError(
                f"`{url}` must be reachable, but {attempt} attempts ended with: {reason}; start the server, or "
                "correct the address"
            )
        if status in CLIENT_ERRORS:
            raise RecogniserError(f"`{url}` must accept the request, but answered {reason}; {_remedy(status)}")
        return Failure(reason)

    def _post(self, body: bytes, content_type: str) -> "_Answer":
        """One request, within `timeout_seconds` from the first byte to the last.

        Raises:
            TimeoutError: the answer was not whole by then.
            OSError: no connection, or a broken one.
            http.client.HTTPException: what came is no HTTP.
        """
        headers = {"Content-Type": content_type, "Accept": "application/json", "User-Agent": "noisewise"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        with _Deadline(self.timeout_seconds) as deadline:
            try:
                with deadline.opener().open(request, timeout=self.timeout_seconds) as answer:
                    found = answer.read(MOST_BYTES + 1)
                    cut = answer.length if len(found) <= MOST_BYTES else 0
                    status, phrase, after = answer.status, answer.reason, answer.headers.get("Retry-After", "")
            except (OSError, http.client.HTTPException, ValueError) as error:
                if deadline.is_over or isinstance(getattr(error, "reason", error), TimeoutError):
                    raise TimeoutError from None
                raise
            if deadline.is_over:
                raise TimeoutError
        if cut:
            raise http.client.IncompleteRead(found, cut)
        return _Answer(status, phrase, found, _seconds(after))

    def _text(self, answer: bytes) -> Output:
        if len(answer) > MOST_BYTES:
            return Failure(f"the answer must be {MOST_BYTES} bytes at most, but is longer")
        try:
            text = json.loads(answer)["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise RecogniserError(
                f"`{self._received(self.url)}` must answer with JSON that has a `text`, but answered "
                f"{self._received(answer)[:100]!r}; is it a transcription API?"
            )
        return " ".join(received(text, self._secrets, shortest=RUN).split())

    def _reason(self, answer: "_Answer") -> str:
        """Status and error message of the server, in one short line and without the key."""
        text: object = answer.body[:MOST_BYTES_OF_A_REASON].decode("utf-8", "replace")
        try:
            values = json.loads(answer.body)
            found = values.get("error", values) if isinstance(values, dict) else values
            text = found.get("message", found) if isinstance(found, dict) else found
            text = text if isinstance(text, str) else json.dumps(text)
        except (ValueError, RecursionError):
            pass
        said = shortened(self._received(str(text)), 200) or shortened(self._received(answer.phrase), 200)
        return f"status {answer.status}: {said}"

    def _received(self, text: str | bytes) -> str:
        return received(text, self._secrets)

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self.key,) if self.key else ()


@dataclass(frozen=True)
class _Answer:
    """Answer of a server."""

    status: int
    phrase: str
    """Reason phrase of the status line."""
    body: bytes
    """At most one byte more than `MOST_BYTES`."""
    retry_after: float | None
    """Seconds to wait that the server asks for."""


class _Deadline:
    """Ends whatever waits for the connections of one request when its time is over.

    Time limits of sockets count from one read to the next: a server that sends a byte now and then would never exceed
    them.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.is_over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._stop)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    def opener(self) -> urllib.request.OpenerDirector:
        """Opens addresses whose connections the deadline ends; answers of any status are returned as they are."""
        deadline = self

        class Plain(urllib.request.HTTPHandler):
            def http_open(self, request: urllib.request.Request) -> Any:
                return self.do_open(deadline._connection(http.client.HTTPConnection), request)

        class Encrypted(urllib.request.HTTPSHandler):
            def https_open(self, request: urllib.request.Request) -> Any:
                return self.do_open(deadline._connection(http.client.HTTPSConnection), request)

        return urllib.request.build_opener(Plain, Encrypted, _AnyStatus)

    def _connection(self, kind: Any) -> Any:
        def made(host: str, **options: Any) -> Any:
            connection = kind(host, **options)
            connection._create_connection = self._connect  # the only way to the socket before TLS begins
            return connection

        return made

    def _connect(self, address: tuple[str, int], timeout: object = None, source: Any = None) -> socket.socket:
        """A connection, and a second handle of it, by which `_stop` ends it whatever has become of the first."""
        connection = socket.create_connection(address, max(self.end - time.monotonic(), 0.001), source)
        with self._lock:
            self._sockets.append(connection.dup())
        return connection

    def _stop(self) -> None:
        with self._lock:
            self.is_over = True
            for each in self._sockets:
                with contextlib.suppress(OSError):  # closed by the server already
                    each.shutdown(socket.SHUT_RDWR)


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Answers stay answers, whatever their status: a redirected form would arrive without its file, and the key at
    another server."""

    def http_response(self, request: Any, response: Any) -> Any:
        """The answer itself."""
        return response

    https_response = http_response


def recogniser(specification: str, target: str, *, workers: int, timeout_seconds: float) -> NamedRecogniser:
    """A server as a recogniser.

    Args:
        specification: the whole of it, for the result.
        target: `URL#MODEL&FIELD=VALUE`; the model and further fields of the form may be left out.
        workers: requests at the same time.
        timeout_seconds: for one request, from its first byte to the last of the answer.

    Raises:
        RecogniserError: the address cannot be one, or the key holds what no key does.
    """
    server = Server(*address(target), timeout_seconds=timeout_seconds, key=os.environ.get(KEY) or None)

    def recognise(waveforms: list[Waveform]) -> Sequence[Output]:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(server.transcribe, waveforms))

    details = {"url": server.url, **dict(server.fields)}
    return NamedRecogniser(specification, recognise, {name: received(value) for name, value in details.items()})


def address(target: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """`http://host:8000#tiny&language=en` to the address that is asked and the fields of the form.

    Raises:
        RecogniserError: it is not http or https, has no host, or holds a password.
    """
    target = clean_text(target)
    parts = _split(target)
    if parts is None:
        raise RecogniserError(
            f"`{received(f'openai:{target}')}` must name a server, as in openai:http://localhost:8000#whisper-1, but "
            "does not; correct the address"
        )
    if parts.username or parts.password:
        raise RecogniserError(f"the address of {parts.hostname} must not hold a password; set {KEY} in the environment")
    path = parts.path.rstrip("/")
    if not path.endswith(ROUTE):
        path = (path if path.endswith("/v1") else f"{path}/v1") + ROUTE
    model, _, rest = parts.fragment.partition("&")
    fields = {"model": model or DEFAULT_MODEL, "response_format": "json", "temperature": "0"}
    try:
        fields |= dict(parse_qsl(rest, keep_blank_values=True, strict_parsing=bool(rest)))
    except ValueError as error:
        raise RecogniserError(
            received(f"`#{parts.fragment}` must be MODEL&FIELD=VALUE, but is not: {error}")
        ) from error
    path, query = (quote(part, safe="/%:@!$&'()*+,;=?~") for part in (path, parts.query))
    return urlunsplit((parts.scheme, parts.netloc, path, query, "")), tuple(fields.items())


def _split(target: str) -> SplitResult | None:
    """The parts of an address of http or https that has a host; None for any other."""
    try:
        parts = urlsplit(target)
        host = (parts.hostname or "").encode("idna")
        is_one = parts.scheme in ("http", "https") and bool(host) and (parts.port is None or parts.port > 0)
    except ValueError:  # brackets without an end, a port that is none, a host that no name server could know
        return None
    is_plain = not any(character.isspace() or not character.isprintable() for character in target.partition("#")[0])
    return parts if is_one and is_plain else None


def wav(waveform: Waveform) -> bytes:
    """A waveform (T,) as a wav file: 16 kHz, mono, 16 bit."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm16(waveform)[0].astype("<i2").tobytes())
    return buffer.getvalue()


def form(fields: Sequence[tuple[str, str]], file: bytes) -> tuple[bytes, str]:
    """Fields and a wav file as multipart/form-data (RFC 7578): the body and its content type."""
    boundary = uuid.uuid4().hex
    parts = [
        f'Content-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}'.encode() for name, value in fields
    ]
    head = b'Content-Disposition: form-data; name="file"; filename="audio.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    body = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in [*parts, head + file])
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _seconds(text: str) -> float | None:
    """Seconds to wait that the server asks for; None when it gives no number above 0."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def _remedy(status: int) -> str:
    if status in (401, 403):
        return f"set {KEY} to a key that it accepts"
    if status in (402, 429):
        return (
            "wait, use fewer --workers, or raise the quota; with --cache finished transcripts are not requested again"
        )
    return "correct the address or the name of the model after #"
