"""Wyoming, the protocol of Home Assistant's voice services: events as lines of JSON with bytes behind them, over TCP.

The server announces that it wants neither noise reduction nor automatic gain: a recogniser that was trained in noise
does better without them. Names earn a higher boost than terms. The protocol has no keys (its authors leave that to the
network), so it belongs on the loopback interface or a trusted network.

Source: https://github.com/OHF-Voice/wyoming.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from noisewise import __version__
from noisewise.audio.files.protocol import Samples
from noisewise.audio.waveform import SAMPLE_RATE, SILENCE
from noisewise.errors import NoisewiseError
from noisewise.inference.windowing import MIN_SECONDS
from noisewise.serving.api_error import ApiError, api_error, too_large
from noisewise.serving.live_audio import LiveDecoder
from noisewise.serving.models import RecognitionOptions, ServedRecogniser, ServedTagger
from noisewise.serving.service import Service
from noisewise.serving.transcription_request import Hotword, checked_hotwords

VERSION = "1.10.2"
"""Version of the protocol."""
LINE_BYTES, PAYLOAD_BYTES = 2**16, 2**20
"""Longest line or data, and longest payload of an event."""
NAME_BOOST, TERM_BOOST = None, 0.75
"""Boosts of `transcript_names`, that of the model, and of `transcript_terms`, half of it."""
STOP_SECONDS = 30.0
"""At the end, what is being recognised is waited for so long."""


@dataclass(frozen=True)
class WyomingEvent:
    """An event of the protocol."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def encoded(self) -> bytes:
        """It as bytes: a line of JSON, its data, its payload."""
        data = json.dumps(self.data).encode() if self.data else b""
        head: dict[str, Any] = {"type": self.type, "version": VERSION}
        head |= {"data_length": len(data)} if data else {}
        head |= {"payload_length": len(self.payload)} if self.payload else {}
        return json.dumps(head).encode() + b"\n" + data + self.payload


async def read_event(reader: asyncio.StreamReader) -> WyomingEvent | None:
    """The next event; None at the end.

    Raises:
        ApiError: it is none, or too long.
    """
    try:
        line = await reader.readline()
        if not line:
            return None
        head = json.loads(line)
        sizes = [head.get(name) or 0 for name in ("data_length", "payload_length")]
        if not isinstance(head["type"], str) or not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise ValueError
        if sizes[0] > LINE_BYTES or sizes[1] > PAYLOAD_BYTES:
            raise too_large("an event must have 64 KiB of data and 1 MiB of payload at most", "event_too_large", None)
        data = json.loads(await reader.readexactly(sizes[0])) if sizes[0] else {}
        payload = await reader.readexactly(sizes[1]) if sizes[1] else b""
        return WyomingEvent(head["type"], {**(head.get("data") or {}), **data}, payload)
    except asyncio.IncompleteReadError:
        return None
    except ApiError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ApiError("an event must be a line of JSON with a `type`, but one is not", "invalid_event") from None


@contextlib.asynccontextmanager
async def serving(service: Service, listening: socket.socket) -> AsyncIterator[None]:
    """Serve on a socket for the length of the block; what is being recognised at its end is finished."""
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection = WyomingConnection(service, reader, writer)
        connections.add(connection)
        try:
            await connection.run()
        finally:
            tasks.discard(task)
            connections.discard(connection)
            writer.close()

    connections: set[WyomingConnection] = set()
    server = await asyncio.start_server(connected, sock=listening, limit=LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        for task, connection in zip(list(tasks), list(connections), strict=False):
            if not connection.is_busy:
                task.cancel()
        for connection in connections:
            connection.is_ending = True
        if tasks:
            await asyncio.wait(set(tasks), timeout=STOP_SECONDS)
        for task in tasks:
            task.cancel()


class WyomingConnection:
    """One client."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._service, self._reader, self._writer = service, reader, writer
        self._asked: dict[str, Any] = {}
        self._decoder: LiveDecoder | None = None
        self._pieces: list[Samples] = []
        self._samples = 0
        self.is_busy = False
        """Whether it waits for a transcript."""
        self.is_ending = False
        """Whether it ends after the transcript that it waits for."""

    async def run(self) -> None:
        """Answer until the client goes, or is silent for too long."""
        service = self._service
        if service.sessions >= service.limits.sessions:
            await self._error(ApiError("there are too many sessions (--sessions)", "too_many_sessions"))
            return
        service.sessions += 1
        service.metrics.sessions.labels("wyoming").inc()
        try:
            await self._answer_all()
        except (ConnectionError, TimeoutError):
            pass
        except NoisewiseError as error:
            await self._error(api_error(error))
        finally:
            service.sessions -= 1
            service.metrics.sessions.labels("wyoming").dec()

    async def _answer_all(self) -> None:
        while not self.is_ending:
            async with asyncio.timeout(self._service.limits.idle_seconds):
                event = await read_event(self._reader)
            if event is None:
                return
            await self._answer(event)

    async def _answer(self, event: WyomingEvent) -> None:
        if event.type == "describe":
            await self._send(WyomingEvent("info", _info(self._service)))
        elif event.type == "ping":
            await self._send(WyomingEvent("pong", event.data))
        elif event.type == "transcribe":
            self._asked = event.data
        elif event.type == "audio-start":
            self._start(event.data)
        elif event.type == "audio-chunk":
            self._take(event)
        elif event.type == "audio-stop":
            await self._transcribe()

    def _start(self, data: dict[str, Any]) -> None:
        rate, width, channels = data.get("rate", SAMPLE_RATE), data.get("width", 2), data.get("channels", 1)
        if not all(isinstance(each, int) for each in (rate, width, channels)):
            raise ApiError("`rate`, `width` and `channels` must be whole numbers", "invalid_value")
        self._decoder, self._pieces, self._samples = LiveDecoder("pcm", rate, width, channels), [], 0

    def _take(self, event: WyomingEvent) -> None:
        if self._decoder is None:
            self._start(event.data)
        assert self._decoder is not None
        self._keep(self._decoder.feed(event.payload))

    def _keep(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._samples += len(samples)
        most = self._service.limits.session_seconds
        if self._samples > most * SAMPLE_RATE:
            raise too_large(f"an utterance must last {most:g} s at most (--session-seconds)", "audio_too_long", None)

    async def _transcribe(self) -> None:
        """The transcript of what was sent; none of less than a word or of silence."""
        if self._decoder is not None:
            self._keep(self._decoder.end())
        samples = np.concatenate([np.zeros(0, np.float32), *self._pieces])
        self._decoder, self._pieces, self._samples = None, [], 0
        is_silent = len(samples) < MIN_SECONDS * SAMPLE_RATE or float(np.ptp(samples)) / 2 < SILENCE
        self._service.metrics.received(samples, is_silent)
        self.is_busy = True
        try:
            language, text = await self._text(samples, is_silent)
        except Exception as error:
            await self._error(api_error(error))
            return
        finally:
            self.is_busy = False
        await self._send(WyomingEvent("transcript-start", {"language": language}))
        if text:
            await self._send(WyomingEvent("transcript-chunk", {"text": text}))
        await self._send(WyomingEvent("transcript", {"text": text, "language": language}))
        await self._send(WyomingEvent("transcript-stop"))

    async def _text(self, samples: Samples, is_silent: bool) -> tuple[str, str]:
        """Language and text."""
        service, asked = self._service, self._asked
        model = service.models.recogniser(str(asked.get("name") or ""))
        language = service.check_languages(model, (str(asked["language"]),) if asked.get("language") else ())
        words: list[Hotword] = [(str(word), NAME_BOOST) for word in asked.get("transcript_names") or []]
        words += [(str(word), TERM_BOOST) for word in asked.get("transcript_terms") or []]
        usable = [each for each in words if isinstance(model, ServedRecogniser) and model.spellable([each[0]])]
        hotwords, _ = service.hotwords(model, checked_hotwords(usable, service.limits), "")
        if is_silent:
            return language, ""
        async with asyncio.timeout(service.limits.request_seconds):
            found = await service.transcribed(model, samples, RecognitionOptions(hotwords))
        return language, found.text

    async def _send(self, event: WyomingEvent) -> None:
        self._writer.write(event.encoded())
        async with asyncio.timeout(self._service.limits.idle_seconds):
            await self._writer.drain()

    async def _error(self, error: ApiError) -> None:
        self._service.metrics.errors.labels(error.code or "none").inc()
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self._send(WyomingEvent("error", {"text": error.values["message"], "code": error.code}))


def _info(service: Service) -> dict[str, Any]:
    """What is served, in the form of Wyoming's `info`."""
    source = {
        "attribution": {"name": "Noisewise", "url": ""},
        "installed": True,
        "version": __version__,
    }
    models = [
        {**source, "name": each.name, "description": each.name, "languages": each.languages or ["en"]}
        for each in service.models.all.values()
        if not isinstance(each, ServedTagger)
    ]
    program = {
        **source,
        "name": "noisewise",
        "description": "Speech recognition that works in noise",
        "models": models,
        "supports_transcript_streaming": True,
        "requires_external_vad": True,
        "prefers_auto_gain_enabled": False,
        "prefers_noise_reduction_enabled": False,
    }
    empty: dict[str, Any] = {name: [] for name in ("tts", "handle", "intent", "wake", "mic", "snd")}
    return {"asr": [program], **empty}
