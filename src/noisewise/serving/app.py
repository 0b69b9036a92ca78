"""The routes of a server, as an ASGI application: OpenAI's audio API, models, health and metrics."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from noisewise.errors import NoisewiseError
from noisewise.inference.tags import TOP, Tags
from noisewise.inference.transcript import Transcript
from noisewise.serving import responses, transcription_request
from noisewise.serving.api_error import ApiError, api_error
from noisewise.serving.models import RecognitionOptions, ServedRecogniser, ServedSystem
from noisewise.serving.recordings import DecodedRecording
from noisewise.serving.service import ClientGone, Service, unless_gone
from noisewise.serving.transcription_request import TranscriptionRequest
from noisewise.serving.uploads import DrainableBody, received_form, uploaded_file

logger = logging.getLogger(__name__)

OPEN = ("/health", "/ready")
"""Paths that need no key."""
IGNORED, WARNING = "X-Noisewise-Ignored", "X-Noisewise-Warning"
"""Headers of answers: fields that were passed over, and what is wrong with the recording."""
CLIENT_GONE = 499
"""Status under which a request is counted whose client did not wait."""


def app(
    service: Service,
    further: Iterable[BaseRoute] = (),
    beside: Iterable[contextlib.AbstractAsyncContextManager[Any]] = (),
) -> ASGIApp:
    """The application of a service.

    Args:
        service: its parts; started and stopped with the application.
        further: routes beside those of this file.
        beside: what runs as long as the application, such as a server of another protocol; it ends before the models.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        warming = asyncio.create_task(service.start())
        async with contextlib.AsyncExitStack() as stack:
            for each in beside:
                await stack.enter_async_context(each)
            yield
        await warming
        await service.stop()

    routes: list[BaseRoute] = [
        Route("/v1/audio/transcriptions", partial(_transcriptions, service=service), methods=["POST"]),
        Route("/v1/audio/translations", _translations, methods=["POST"]),
        Route("/v1/audio/tags", partial(_tags, service=service), methods=["POST"]),
        Route("/v1/models", partial(_models, service=service)),
        Route("/v1/models/{model:path}", partial(_model, service=service)),
        Route("/health", _health),
        Route("/ready", partial(_ready, service=service)),
        Route("/metrics", partial(_metrics, service=service)),
        *further,
    ]
    return _Gate(Router(routes, lifespan=lifespan), service)


def error_response(error: ApiError) -> JSONResponse:
    """The answer that an error is."""
    return JSONResponse({"error": error.values}, error.status, error.headers)


class _Gate:
    """Stands before all routes: keys, the time limit of a request, errors as OpenAI's API has them, and metrics."""

    def __init__(self, inner: ASGIApp, service: Service):
        self._inner, self._service = inner, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # so that errors of routing are raised, and answered here
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        answer, body = _Answer(send), DrainableBody(receive, Headers(scope=scope))
        begun, status = time.monotonic(), CLIENT_GONE
        try:
            if scope["path"] not in OPEN:
                self._service.keys.check(body.headers)
            async with asyncio.timeout(self._service.limits.request_seconds):
                await self._inner(scope, body, answer)
            status = answer.status
        except ClientGone:
            pass
        except Exception as error:
            found = self._said(error, scope)
            status = found.status
            if answer.status:  # it has begun: there is no other way to say that it is not whole
                raise
            if status != 408:
                await body.drain(4 * self._service.limits.upload_bytes)
            await error_response(found)(scope, receive, answer)
        finally:
            self._count(scope, status, time.monotonic() - begun)

    def _said(self, error: Exception, scope: Scope) -> ApiError:
        found = _of_routing(error, scope) if isinstance(error, HTTPException) else api_error(error)
        if isinstance(error, TimeoutError):
            most = self._service.limits.request_seconds
            found = ApiError(f"the request took more than {most:g} s (--request-seconds)", "timeout", status=503)
        if found.status == 500:
            logger.error("a request failed", exc_info=error)
        self._service.metrics.errors.labels(found.code or "none").inc()
        return found

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._service.metrics.requests.labels(route, str(status)).inc()
        self._service.metrics.latency.labels(route).observe(seconds)


def _of_routing(error: HTTPException, scope: Scope) -> ApiError:
    """No such path, or no such method."""
    if error.status_code == 405:
        return ApiError(f"{scope['method']} cannot be used here", "method_not_allowed", status=405)
    return ApiError(f"there is no {scope['path'][:200]} here", "not_found", status=error.status_code)


class _Answer:
    """Passes an answer on, with a number of its own, and remembers its status."""

    def __init__(self, send: Send):
        self._send, self.status = send, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = f"req_{uuid.uuid4().hex}"
            headers["x-content-type-options"] = "nosniff"
        await self._send(message)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _ready(_: Request, service: Service) -> Response:
    status = "ready" if service.is_ready else "starting"
    return JSONResponse({"status": status}, 200 if service.is_ready else 503)


async def _metrics(_: Request, service: Service) -> Response:
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


async def _models(_: Request, service: Service) -> Response:
    return JSONResponse({"object": "list", "data": [each.values for each in service.models.all.values()]})


async def _model(request: Request, service: Service) -> Response:
    return JSONResponse(service.models.get(request.path_params["model"]).values)


async def _translations(_: Request) -> Response:
    raise ApiError("this server transcribes and does not translate; use /v1/audio/transcriptions", "unsupported")


async def _transcriptions(request: Request, service: Service) -> Response:
    begun = time.monotonic()
    with service.admission.admitted():
        async with received_form(request, service.admission) as form:
            asked = transcription_request.parse(form.multi_items(), service.limits)
            model = service.models.recogniser(asked.model)
            language = service.check_languages(model, asked.languages)
            if isinstance(model, ServedSystem) and model.times == "none" and asked.response_format in ("srt", "vtt"):
                raise ApiError(f"`{model.name}` tells no times", "unsupported_value", param="response_format")
            hotwords, passed_over = service.hotwords(model, asked.hotwords, asked.prompt)
            upload = uploaded_file(form)
            recording = await service.decoded(upload.file, upload.filename or "file")
        options = RecognitionOptions(hotwords, asked.logprobs)
        headers = _headers([*asked.ignored, *passed_over], recording)
        work = _transcript(service, model, recording, options)
        if asked.stream:
            return StreamingResponse(
                _events(service, work, asked, begun), headers=headers, media_type="text/event-stream"
            )
        transcript = await unless_gone(work, _disconnected(request))
    tokenizer = model.recogniser.tokenizer if isinstance(model, ServedRecogniser) else None
    found = responses.body(transcript, asked, language, tokenizer)
    if isinstance(found, str):
        return Response(found, headers=headers, media_type=responses.MEDIA[asked.response_format])
    return JSONResponse(found, headers=headers)


async def _transcript(
    service: Service,
    model: ServedRecogniser | ServedSystem,
    recording: DecodedRecording,
    options: RecognitionOptions,
) -> Transcript:
    """The transcript of a recording; one without sound has no words."""
    if recording.is_silent:
        return Transcript(recording.name, duration=recording.seconds)
    return await service.transcribed(model, recording.samples, options)


async def _events(
    service: Service, work: Awaitable[Transcript], asked: TranscriptionRequest, begun: float
) -> AsyncIterator[str]:
    """The events of a stream; an error is the last of them."""
    try:
        with service.admission.counted():
            transcript = await work
        service.metrics.first_delta.observe(time.monotonic() - begun)
        for each in responses.deltas(transcript, asked):
            yield each
    except NoisewiseError as error:
        found = api_error(error)
        service.metrics.errors.labels(found.code or "none").inc()
        yield responses.failure(found)


async def _tags(request: Request, service: Service) -> Response:
    with service.admission.admitted():
        async with received_form(request, service.admission) as form:
            model = service.models.tagger(str(form.get("model") or ""))
            top = int(_number(form.get("top"), "top", 1, 10_000, TOP))
            threshold = _number(form.get("threshold"), "threshold", 0, 1, 0.0)
            upload = uploaded_file(form)
            recording = await service.decoded(upload.file, upload.filename or "file")
        tags: Tags = await unless_gone(service.tagged(model, recording.samples), _disconnected(request))
    return JSONResponse(responses.tags_body(model.name, tags, top, threshold), headers=_headers([], recording))


def _number(value: Any, name: str, low: float, high: float, otherwise: float) -> float:
    if value in (None, ""):
        return otherwise
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if not low <= found <= high:
        raise ApiError(f"`{name}` must be a number between {low:g} and {high:g}", "invalid_value", param=name)
    return found


def _headers(ignored: Iterable[str], recording: DecodedRecording) -> dict[str, str]:
    """What was passed over, and what is wrong with the recording."""
    names = [name for each in dict.fromkeys(ignored) if (name := "".join(filter(_is_plain, each))[:40])]
    found = {IGNORED: ", ".join(names[:20])} if names else {}
    if recording.fault is not None:
        found[WARNING] = "truncated: the end of the recording is missing"
    elif recording.is_silent:
        found[WARNING] = "silent: the recording holds no sound"
    return found


def _is_plain(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter in "_-.[]")


def _disconnected(request: Request) -> Callable[[], Awaitable[None]]:
    """Ends when the client has gone; the body must have been read."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return gone
