"""Forms with a file, received within bounds: counted as they come, kept on disk, refused when they are too much."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from noisewise.serving.api_error import ApiError, busy, too_large
from noisewise.serving.limits import Limits

FIELD_BYTES = 65_536
"""Longest field of a form beside the file."""
DRAIN_SECONDS = 5.0
"""A body that is refused is read on for so long, or most clients would not see the answer."""


@dataclass
class Admission:
    """Counts the requests in progress and their bytes, and refuses more than the server takes."""

    limits: Limits
    requests: int = 0
    spooled: int = 0
    """Bytes of all bodies that are kept."""

    def admitted(self) -> contextlib.AbstractContextManager[None]:
        """Count one request for the length of a block.

        Raises:
            ApiError: 429, there are too many.
        """
        if self.requests >= self.limits.requests:
            raise busy(f"the server works on {self.requests} requests (--requests) already; try again later")
        return self.counted()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count one request for the length of the block, however many there are."""
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1


@contextlib.asynccontextmanager
async def received_form(request: Request, admission: Admission) -> AsyncIterator[FormData]:
    """The form of a request, its file on disk until the end of the block.

    Raises:
        ApiError: it is no form, too large, too slow, or broken off.
    """
    limits = admission.limits
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError("the request must be multipart/form-data with a `file`", "unsupported_media_type", status=415)
    body = _Body(request.receive, admission)
    try:
        if _declared(request) > limits.upload_bytes:
            raise _too_large(limits)
        try:
            async with asyncio.timeout(limits.upload_seconds):
                form = await _parsed(Request(request.scope, body), limits)
        except TimeoutError:
            raise ApiError(
                f"the body must arrive within {limits.upload_seconds:g} s (--upload-seconds), but did not",
                "upload_timeout",
                status=408,
            ) from None
        try:
            yield form
        finally:
            await form.close()
    finally:
        admission.spooled -= body.bytes


def uploaded_file(form: FormData) -> UploadFile:
    """The field `file` of a form.

    Raises:
        ApiError: there is none, or it is no file.
    """
    found = form.get("file")
    if found is None:
        raise ApiError("`file` must be given, but is missing", "missing_required_parameter", param="file")
    if not isinstance(found, UploadFile):
        raise ApiError("`file` must be a file with a name, but is text", "invalid_type", param="file")
    if not found.size:
        raise ApiError("`file` must hold audio, but is empty", "invalid_value", param="file")
    return found


async def _parsed(request: Request, limits: Limits) -> FormData:
    try:
        return await request.form(max_files=1, max_fields=limits.fields, max_part_size=FIELD_BYTES)
    except HTTPException as error:
        raise ApiError(f"the form cannot be read: {error.detail}", "invalid_form") from error
    except ClientDisconnect as error:
        raise ApiError("the request broke off before its end", "incomplete_body") from error


def _declared(request: Request) -> int:
    """Bytes that the head promises; 0 where it does not."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _too_large(limits: Limits) -> ApiError:
    return too_large(
        f"the request must be {limits.upload_megabytes:g} MiB at most (--upload-megabytes), but is larger; "
        "compress or cut the recording",
        "upload_too_large",
    )


class DrainableBody:
    """Passes the body of a request on, and can read away what is left of it.

    A client that only sends does not see an answer that comes before it is done: the connection is reset under it.
    """

    def __init__(self, receive: Receive, headers: Headers):
        self.headers = headers
        self._receive = receive
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self._is_left, self._has_begun = has_body, False

    async def __call__(self) -> Message:
        """The next piece."""
        self._has_begun = True
        message = await self._receive()
        self._is_left = message["type"] == "http.request" and bool(message.get("more_body"))
        return message

    async def drain(self, most: int) -> None:
        """Read away at most so many bytes, for `DRAIN_SECONDS`, unless the client waits for leave to send them."""
        if not self._has_begun and self.headers.get("expect", "").lower() == "100-continue":
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._is_left and most > 0:
                    most -= max(1, len((await self()).get("body", b"")))


class _Body:
    """Counts the bytes of a body on their way."""

    def __init__(self, receive: Receive, admission: Admission):
        self._receive, self._admission = receive, admission
        self.bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        limits, size = self._admission.limits, len(message.get("body", b""))
        self.bytes += size
        self._admission.spooled += size
        if self.bytes > limits.upload_bytes:
            raise _too_large(limits)
        if self._admission.spooled > limits.spool_bytes:
            raise busy(
                f"the server keeps {limits.spool_megabytes:g} MiB of requests (--spool-megabytes) already; try again "
                "later",
                "spool_full",
                5,
            )
        return message
