"""`openai:URL#MODEL`: any server that answers POST /v1/audio/transcriptions, the transcription API of OpenAI.

One request for each utterance, a 16-bit wav file in a multipart form. The key comes from the environment variable
OPENAI_API_KEY, when it is set. An error that concerns one recording is a failure of that recording; one that concerns
the client (key, address, quota, no server) ends the run, because nothing was measured then.
"""

import http.client
import io
import json
import os
import time
import urllib.error
import urllib.request
import uuid
import wave
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from noisewise.audio.pcm import pcm16
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Output, Waveform

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
    key: str | None = None
    pause_seconds: float = FIRST_PAUSE_SECONDS
    attempts: int = ATTEMPTS
    sleep: Callable[[float], None] = time.sleep

    def transcribe(self, waveform: Waveform) -> Output:
        """The text of one utterance (T,), or why there is none.

        Raises:
            RecogniserError: the server cannot be reached, or refuses whatever is asked.
        """
        body, content_type = form(self.fields, wav(waveform))
        for attempt in range(1, self.attempts + 1):
            try:
                return self._text(self._post(body, content_type))
            except urllib.error.HTTPError as error:
                reason, status = f"status {error.code}: {self._reason(error)}", error.code
                pause = _retry_after(error)
            except (OSError, http.client.HTTPException) as error:
                reason, status, pause = f"{getattr(error, 'reason', '') or error or type(error).__name__}", 0, None
                timed_out = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
                if timed_out:
                    return Failure(f"no answer within {self.timeout_seconds:g} s")
            if status not in {0, *AGAIN}:
                break
            if attempt < self.attempts:
                self.sleep(min(pause or self.pause_seconds * 2 ** (attempt - 1), LONGEST_PAUSE_SECONDS))
        if status == 0:
            raise RecogniserError(
                f"`{self.url}` must be reachable, but {attempt} attempts ended with: {reason}; start the server, or "
                "correct the address"
            )
        if status in CLIENT_ERRORS:
            raise RecogniserError(f"`{self.url}` must accept the request, but answered {reason}; {_remedy(status)}")
        return Failure(reason)

    def _post(self, body: bytes, content_type: str) -> bytes:
        headers = {"Content-Type": content_type, "Accept": "application/json", "User-Agent": "noisewise"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        with _OPENER.open(request, timeout=self.timeout_seconds) as answer:
            found: bytes = answer.read(MOST_BYTES)
            return found

    def _text(self, answer: bytes) -> Output:
        try:
            text = json.loads(answer)["text"]
        except (ValueError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            shown = self._without_key(answer[:100].decode("utf-8", "replace"))
            raise RecogniserError(
                f"`{self.url}` must answer with JSON that has a `text`, but answered {shown!r}; is it a transcription "
                "API?"
            )
        return " ".join(text.split())

    def _reason(self, error: urllib.error.HTTPError) -> str:
        """The error message of the server, in one short line and without the key."""
        with error:
            text = error.read(10_000).decode("utf-8", "replace")
        try:
            values = json.loads(text)
            found = values.get("error", values) if isinstance(values, dict) else values
            text = str(found.get("message", found) if isinstance(found, dict) else found)
        except ValueError:
            pass
        return self._without_key(" ".join(text.split())[:200]) or str(error.reason)

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected form would arrive without its file, and the key at another server."""

    def redirect_request(self, *_: Any) -> None:
        """Leave the answer as it is: an error."""


_OPENER = urllib.request.build_opener(_NoRedirects)


def recogniser(specification: str, target: str, *, workers: int, timeout_seconds: float) -> NamedRecogniser:
    """A server as a recogniser.

    Args:
        specification: the whole of it, for the result.
        target: `URL#MODEL&FIELD=VALUE`; the model and further fields of the form may be left out.
        workers: requests at the same time.
        timeout_seconds: for one answer.

    Raises:
        RecogniserError: the address cannot be one.
    """
    server = Server(*address(target), timeout_seconds=timeout_seconds, key=os.environ.get(KEY) or None)

    def recognise(waveforms: list[Waveform]) -> Sequence[Output]:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(server.transcribe, waveforms))

    return NamedRecogniser(specification, recognise, {"url": server.url, **dict(server.fields)})


def address(target: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """`http://host:8000#tiny&language=en` to the address that is asked and the fields of the form.

    Raises:
        RecogniserError: it is not http or https, has no host, or holds a password.
    """
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RecogniserError(
            f"`openai:{target}` must name a server, as in openai:http://localhost:8000#whisper-1, but does not"
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
        raise RecogniserError(f"`#{parts.fragment}` must be MODEL&FIELD=VALUE, but is not: {error}") from error
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")), tuple(fields.items())


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


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    """Seconds to wait that the server asks for; None when it gives no number above 0."""
    try:
        seconds = float(error.headers.get("Retry-After", ""))
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
