"""Errors in the form of OpenAI's API: `{"error": {"message", "type", "param", "code"}}` with an HTTP status."""

from typing import Any

from noisewise.errors import AudioError, DecodingError, NoisewiseError, lacks_memory
from noisewise.safe_text import received, shortened

INVALID, SERVER, LIMITED = "invalid_request_error", "server_error", "rate_limit_exceeded"
"""Types of errors."""
CODES = {"too_short": "audio_too_short", "too_long": "audio_too_long", "nan": "audio_not_finite"}
"""Reasons of an `AudioError` to codes; others are `invalid_value`."""


class ApiError(NoisewiseError):
    """A request that cannot be answered, with the status and the code that say why."""

    def __init__(
        self,
        message: str,
        code: str | None = None,
        *,
        status: int = 400,
        kind: str = INVALID,
        param: str | None = None,
        retry_after: int | None = None,
    ):
        """Choose what the client is told.

        Args:
            message: a sentence.
            code: a word that programs can tell it by.
            status: of HTTP.
            kind: the `type` of the error.
            param: name of the field that is wrong.
            retry_after: seconds after which the same request may succeed.
        """
        super().__init__(message)
        self.code, self.status, self.kind, self.param, self.retry_after = code, status, kind, param, retry_after

    @property
    def values(self) -> dict[str, Any]:
        """The error as plain values: what stands below the key `error`."""
        message = shortened(received(str(self)), 1000)
        return {"message": message, "type": self.kind, "param": self.param, "code": self.code}

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def busy(message: str, code: str = "queue_full", retry_after: int = 1) -> ApiError:
    """The error of a server that has enough to do: 429."""
    return ApiError(message, code, status=429, kind=LIMITED, retry_after=retry_after)


def too_large(message: str, code: str, param: str | None = "file") -> ApiError:
    """The error of a request that exceeds a bound: 413."""
    return ApiError(message, code, status=413, param=param)


def api_error(error: BaseException) -> ApiError:
    """What a client is told of an error of any kind; of one that is not its own no details.

    Example:
        >>> api_error(AudioError("`a.wav` must be longer", "too_short")).values["code"]
        'audio_too_short'
        >>> api_error(ZeroDivisionError("division by zero")).status
        500
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, AudioError):
        return ApiError(str(error), CODES.get(error.reason, "invalid_value"), param="file")
    if isinstance(error, DecodingError):
        return ApiError(str(error), "invalid_value", param="keywords")
    if lacks_memory(error):
        return ApiError("there is not enough memory for this request", "no_memory", status=503, kind=SERVER)
    if isinstance(error, TimeoutError):
        return ApiError("the request took too long", "timeout", status=503, kind=SERVER)
    return ApiError("the server failed; its log says why", "internal_error", status=500, kind=SERVER)
