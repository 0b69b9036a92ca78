"""OpenAI's Realtime API for transcription: audio comes over a WebSocket, and each turn goes out as text.

A turn ends by voice activity (`server_vad`) or by the client (`input_audio_buffer.commit`). Its transcript is that of
the recording which holds the turn alone, and what went out in a delta is never taken back.
"""

import asyncio
import base64
import binascii
import contextlib
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from noisewise.audio.files.protocol import Samples
from noisewise.audio.waveform import SAMPLE_RATE, SILENCE
from noisewise.inference.transcript import Transcript
from noisewise.inference.windowing import MIN_SECONDS
from noisewise.serving.api_error import ApiError, api_error, busy
from noisewise.serving.app import error_response
from noisewise.serving.keys import SUBPROTOCOL
from noisewise.serving.live_audio import LiveDecoder
from noisewise.serving.models import RecognitionOptions
from noisewise.serving.responses import logprobs, spoken_parts
from noisewise.serving.service import Service
from noisewise.serving.transcription_request import checked_hotwords
from noisewise.serving.voice_activity import TurnDetector

LOGPROBS = "item.input_audio_transcription.logprobs"
EAGERNESS = {"low": 1000, "medium": 500, "auto": 500, "high": 250}
"""Eagerness of `semantic_vad` to the pause in milliseconds that ends a turn."""
CODINGS = {"audio/pcm": "pcm", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}
DELAYS = ("minimal", "low", "medium", "high", "xhigh")
APPEND_BYTES = 15 * 2**20
"""Most audio of one message."""
POLICY_VIOLATION, TRY_LATER = 1008, 1013

Sender = Callable[[dict[str, Any]], Awaitable[None]]
TRANSCRIPTION = "conversation.item.input_audio_transcription"


def route(service: Service) -> WebSocketRoute:
    """The route `/v1/realtime`."""
    return WebSocketRoute("/v1/realtime", partial(_endpoint, service=service))


class RealtimeSession:
    """One session: takes the events of a client, and sends those of a server.

    Args:
        service: models and bounds.
        send: sends an event.
        model: name of the model until the client names another.
    """

    def __init__(self, service: Service, send: Sender, model: str = ""):
        self._service, self._send_event = service, send
        self._model = service.models.recogniser(model)
        self.settings: dict[str, Any] = {
            "id": _id("sess"),
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": {"model": self._model.name},
                    "noise_reduction": None,
                    "turn_detection": _turn_detection({"type": "server_vad"}),
                }
            },
            "include": [],
        }
        self._decoder = LiveDecoder()
        self._detector: TurnDetector | None = TurnDetector()
        self._options = RecognitionOptions()
        self._kept: Samples = np.zeros(0, np.float32)
        self._first = self._received = self._detected_from = 0  # samples: of what is kept, of all, of the detector
        self._item = _id("item")
        self._previous: str | None = None
        self._work: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Say how the session is set."""
        await self._send("session.created", session=self.settings)

    async def handle(self, text: str) -> None:
        """Take an event; what is wrong with it goes out as an `error`."""
        event: Any = None
        try:
            event = _event(text)
            await self._handlers[event["type"]](self, event)
        except Exception as error:
            found = api_error(error)
            self._service.metrics.errors.labels(found.code or "none").inc()
            name = event.get("event_id") if isinstance(event, dict) else None
            await self._send("error", error={**found.values, "event_id": name if isinstance(name, str) else None})

    async def finish(self) -> None:
        """Wait for the transcripts of all turns."""
        if self._work is not None:
            await self._work

    def abandon(self) -> None:
        """Give up the transcripts that are not there: the client has gone."""
        for each in self._tasks:
            each.cancel()

    async def _update(self, event: Mapping[str, Any]) -> None:
        given = event.get("session")
        if not isinstance(given, dict) or given.get("type", "transcription") != "transcription":
            raise _wrong("session.type", "transcription: this server does not converse")
        settings = deepcopy(self.settings)
        settings["include"] = _include(given.get("include", settings["include"]))
        audio = settings["audio"]["input"]
        new = _mapping(_mapping(given.get("audio", {}), "session.audio").get("input", {}), "session.audio.input")
        audio |= {name: new[name] for name in ("noise_reduction",) if name in new}
        if "format" in new:
            audio["format"] = _format(new["format"])
        if "turn_detection" in new:
            audio["turn_detection"] = _turn_detection(new["turn_detection"])
        if "transcription" in new:
            known = ("model", "language", "prompt", "keywords", "delay")
            values = _mapping(new["transcription"], "session.audio.input.transcription")
            audio["transcription"] |= {name: values[name] for name in known if name in values}
        self._apply(settings)
        await self._send("session.updated", session=self.settings)

    def _apply(self, settings: dict[str, Any]) -> None:
        """Make settings hold, or refuse all of them."""
        audio = settings["audio"]["input"]
        asked = audio["transcription"]
        model = self._service.models.recogniser(_text(asked, "model"))
        language = _text(asked, "language")
        self._service.check_languages(model, (language,) if language else ())
        if _text(asked, "delay") not in ("", *DELAYS):
            raise _wrong("session.audio.input.transcription.delay", f"one of {', '.join(DELAYS)}")
        keywords = asked.get("keywords") or []
        if not isinstance(keywords, list) or not all(isinstance(each, str) for each in keywords):
            raise _wrong("session.audio.input.transcription.keywords", "a list of words")
        words = checked_hotwords([(word, None) for word in keywords], self._service.limits)
        hotwords, _ = self._service.hotwords(model, words, _text(asked, "prompt"))
        before = self.settings["audio"]["input"]
        if audio["format"] != before["format"]:
            kind = audio["format"]["type"]
            self._decoder = LiveDecoder(CODINGS[kind], audio["format"].get("rate", 8_000))
        if audio["turn_detection"] != before["turn_detection"]:
            self._detector, self._detected_from = _detector(audio["turn_detection"]), self._received
        self.settings, self._model = settings, model
        self._options = RecognitionOptions(hotwords, LOGPROBS in settings["include"])

    async def _append(self, event: Mapping[str, Any]) -> None:
        samples = self._decoder.feed(_audio(event.get("audio")))
        limit = round(self._service.limits.session_seconds * SAMPLE_RATE)
        if self._detector is None and len(self._kept) + len(samples) > limit:
            raise busy(
                f"at most {self._service.limits.session_seconds:g} s of audio may wait (--session-seconds); commit or "
                "clear it",
                "buffer_full",
            )
        self._kept = np.concatenate([self._kept, samples])
        self._received += len(samples)
        if self._detector is None:
            return
        for change in self._detector.feed(samples):
            await self._change(change.kind, change.sample + self._detected_from)
        if not self._detector.is_speaking:
            self._drop_before(self._received - self._prefix - SAMPLE_RATE)  # an onset is seen a little late
        elif len(self._kept) > limit:
            await self._commit_until(self._received)

    async def _change(self, kind: str, sample: int) -> None:
        """A turn begins, or ends and is committed."""
        if kind == "started":
            self._drop_before(sample - self._prefix)
            start = _milliseconds(max(self._first, sample - self._prefix))
            await self._send("input_audio_buffer.speech_started", audio_start_ms=start, item_id=self._item)
            return
        await self._send("input_audio_buffer.speech_stopped", audio_end_ms=_milliseconds(sample), item_id=self._item)
        await self._commit_until(sample)

    @property
    def _prefix(self) -> int:
        """Samples before a turn that belong to it."""
        detection = self.settings["audio"]["input"]["turn_detection"] or {}
        milliseconds = float(detection.get("prefix_padding_ms", 300))
        return round(milliseconds * SAMPLE_RATE / 1000)

    def _drop_before(self, sample: int) -> None:
        dropped = max(0, min(sample - self._first, len(self._kept)))
        self._kept = self._kept[dropped:]
        self._first += dropped

    async def _commit(self, _: Mapping[str, Any]) -> None:
        held_back = self._decoder.end()
        self._kept = np.concatenate([self._kept, held_back])
        self._received += len(held_back)
        if len(self._kept) < MIN_SECONDS * SAMPLE_RATE:
            raise ApiError(
                f"the buffer must hold {1000 * MIN_SECONDS:g} ms of audio or more, but holds "
                f"{_milliseconds(len(self._kept))} ms",
                "input_audio_buffer_commit_empty",
            )
        await self._commit_until(self._received)

    async def _clear(self, _: Mapping[str, Any]) -> None:
        self._drop_before(self._received)
        self._restart_detection()
        await self._send("input_audio_buffer.cleared")

    async def _commit_until(self, sample: int) -> None:
        """Make an item of what is kept up to a sample, and transcribe it after those before it."""
        samples = self._kept[: sample - self._first]
        self._drop_before(sample)
        if self._detector is not None and self._detector.is_speaking and sample == self._received:
            self._restart_detection()  # the turn was cut
        item, previous = self._item, self._previous
        self._previous, self._item = item, _id("item")
        await self._send("input_audio_buffer.committed", item_id=item, previous_item_id=previous)
        content = [{"type": "input_audio", "transcript": None}]
        values = {"id": item, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
        await self._send("conversation.item.added", item={**values, "content": content}, previous_item_id=previous)
        self._work = asyncio.create_task(self._transcribe(item, samples, self._options, self._work))
        self._tasks.add(self._work)
        self._work.add_done_callback(self._tasks.discard)

    def _restart_detection(self) -> None:
        self._detector = _detector(self.settings["audio"]["input"]["turn_detection"])
        self._detected_from = self._received

    async def _transcribe(
        self, item: str, samples: Samples, options: RecognitionOptions, before: "asyncio.Task[None] | None"
    ) -> None:
        """Send the transcript of an item, after that of the item before it."""
        service, place = self._service, {"item_id": item, "content_index": 0}
        seconds = len(samples) / SAMPLE_RATE
        is_silent = not len(samples) or float(np.ptp(samples)) / 2 < SILENCE
        service.metrics.received(samples, is_silent)
        try:
            found = Transcript(item, duration=seconds)
            if not is_silent:
                async with asyncio.timeout(service.limits.request_seconds):
                    found = await service.transcribed(self._model, samples, options)
        except Exception as error:
            await _done(before)
            await self._send(f"{TRANSCRIPTION}.failed", **place, error=api_error(error).values)
            return
        await _done(before)
        for text, words in spoken_parts(found) if found.text else []:
            more: dict[str, Any] = {"logprobs": logprobs(words, text.startswith(" "))} if options.letters else {}
            await self._send(f"{TRANSCRIPTION}.delta", **place, delta=text, **more)
        usage = {"type": "duration", "seconds": round(seconds, 3)}
        more = {"logprobs": logprobs(found.words)} if options.letters else {}
        await self._send(f"{TRANSCRIPTION}.completed", **place, transcript=found.text, usage=usage, **more)

    async def _send(self, kind: str, **values: Any) -> None:
        await self._send_event({"type": kind, "event_id": _id("event"), **values})

    _handlers: ClassVar[dict[str, Callable[["RealtimeSession", Mapping[str, Any]], Awaitable[None]]]] = {
        "session.update": _update,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear,
    }


async def _done(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        await asyncio.wait({task})


def _event(text: str) -> dict[str, Any]:
    """An event of a client."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise ApiError("each message must be a JSON object with a `type`, but one is not", "invalid_event")
    known = RealtimeSession._handlers
    if event["type"] not in known:
        raise ApiError(f"`type` must be one of {', '.join(known)}, but is '{event['type'][:100]}'", "unknown_event")
    return event


def _audio(text: Any) -> bytes:
    if not isinstance(text, str) or len(text) > APPEND_BYTES * 4 // 3 + 4:
        raise _wrong("audio", f"base64 of {APPEND_BYTES >> 20} MiB at most")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("audio", "base64") from None


def _format(given: Any) -> dict[str, Any]:
    values = _mapping(given, "session.audio.input.format")
    kind = values.get("type")
    if kind not in CODINGS:
        raise _wrong("session.audio.input.format.type", f"one of {', '.join(CODINGS)}")
    if kind != "audio/pcm":
        return {"type": kind}
    rate = values.get("rate", 24_000)
    if not isinstance(rate, int):
        raise _wrong("session.audio.input.format.rate", "a whole number")
    LiveDecoder("pcm", rate)
    return {"type": kind, "rate": rate}


def _turn_detection(given: Any) -> dict[str, Any] | None:
    """How turns end, with all defaults; None where the client ends them."""
    if given is None:
        return None
    values = _mapping(given, "session.audio.input.turn_detection")
    kind = values.get("type", "server_vad")
    if kind == "semantic_vad":
        eagerness = values.get("eagerness", "auto")
        if eagerness not in EAGERNESS:
            raise _wrong("session.audio.input.turn_detection.eagerness", f"one of {', '.join(EAGERNESS)}")
        return {"type": kind, "eagerness": eagerness}
    if kind != "server_vad":
        raise _wrong("session.audio.input.turn_detection.type", "server_vad or semantic_vad")
    found: dict[str, Any] = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
    found |= {name: values[name] for name in found if values.get(name) is not None}
    for name, most in (("threshold", 1), ("prefix_padding_ms", 10_000), ("silence_duration_ms", 60_000)):
        value = found[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise _wrong(f"session.audio.input.turn_detection.{name}", f"a number between 0 and {most}")
    return {"type": kind, **found}


def _detector(values: Mapping[str, Any] | None) -> TurnDetector | None:
    if values is None:
        return None
    if values["type"] == "semantic_vad":
        return TurnDetector(silence_seconds=EAGERNESS[values["eagerness"]] / 1000)
    return TurnDetector(values["threshold"], values["silence_duration_ms"] / 1000)


def _include(given: Any) -> list[str]:
    if not isinstance(given, list) or any(each != LOGPROBS for each in given):
        raise _wrong("session.include", f"a list of {LOGPROBS}")
    return list(given)


def _mapping(given: Any, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _wrong(name, "an object")
    return given


def _text(values: Mapping[str, Any], name: str) -> str:
    found = values.get(name) or ""
    if not isinstance(found, str):
        raise _wrong(f"session.audio.input.transcription.{name}", "a text")
    return found


def _wrong(name: str, must: str) -> ApiError:
    return ApiError(f"`{name}` must be {must}", "invalid_value", param=name)


def _id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:20]}"


def _milliseconds(samples: int) -> int:
    return round(1000 * samples / SAMPLE_RATE)


async def _endpoint(websocket: WebSocket, service: Service) -> None:
    offered = websocket.scope["subprotocols"]
    try:
        service.keys.check(websocket.headers, offered)
        _check_origin(websocket)
        if service.sessions >= service.limits.sessions:
            raise busy(f"there are {service.sessions} sessions (--sessions) already", "too_many_sessions")
    except ApiError as error:
        await websocket.send_denial_response(error_response(error))
        return
    plain = [each for each in offered if not each.startswith(SUBPROTOCOL)]
    await websocket.accept(plain[0] if plain else None)
    service.sessions += 1
    service.metrics.sessions.labels("realtime").inc()
    try:
        await _serve(websocket, service)
    finally:
        service.sessions -= 1
        service.metrics.sessions.labels("realtime").dec()


def _check_origin(websocket: WebSocket) -> None:
    """Refuse pages of other sites: a browser lets them open a WebSocket, and does not ask the server."""
    origin = websocket.headers.get("origin")
    if origin and urlsplit(origin).netloc != websocket.headers.get("host"):
        raise ApiError("the page must come from this server, but comes from another", "wrong_origin", status=403)


async def _serve(websocket: WebSocket, service: Service) -> None:
    async def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has gone: nobody reads
            await websocket.send_text(json.dumps(event))

    try:
        session = RealtimeSession(service, send, websocket.query_params.get("model", ""))
    except ApiError as error:
        await send({"type": "error", "event_id": _id("event"), "error": error.values})
        await websocket.close(POLICY_VIOLATION)
        return
    await session.begin()
    try:
        while True:
            async with asyncio.timeout(service.limits.idle_seconds):
                text = await websocket.receive_text()
            await session.handle(text)
    except TimeoutError:
        message = f"no message came for {service.limits.idle_seconds:g} s (--idle-seconds)"
        await session.finish()
        await send({"type": "error", "event_id": _id("event"), "error": ApiError(message, "idle_timeout").values})
        await websocket.close(TRY_LATER)
    except KeyError:  # a message of bytes
        await websocket.close(1003)
    except WebSocketDisconnect:
        pass
    finally:
        session.abandon()
