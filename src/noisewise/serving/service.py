"""What all routes of a server share: models, bounds, keys, metrics, and the way from a file to a transcript."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, TypeVar

from noisewise.audio.files.protocol import Samples
from noisewise.inference.tags import Tags
from noisewise.inference.transcript import Transcript
from noisewise.serving.api_error import ApiError
from noisewise.serving.keys import Keys
from noisewise.serving.limits import Limits
from noisewise.serving.metrics import Metrics
from noisewise.serving.models import RecognitionOptions, ServedModels, ServedRecogniser, ServedSystem, ServedTagger
from noisewise.serving.recordings import DecodedRecording, decode
from noisewise.serving.transcription_request import Hotword, checked_hotwords
from noisewise.serving.uploads import Admission

R = TypeVar("R")


class Service:
    """The parts of a server.

    Args:
        models: what is served.
        limits: bounds of requests.
        keys: of clients.
        metrics: what is counted.
        prompt_boost: boost of each letter of the words of `prompt`, which is then a list of hotwords with commas
            between them; None to pass prompts over.
    """

    def __init__(
        self,
        models: ServedModels,
        limits: Limits | None = None,
        keys: Keys | None = None,
        metrics: Metrics | None = None,
        prompt_boost: float | None = None,
    ):
        self.models, self.limits, self.keys = models, limits or Limits(), keys or Keys()
        self.metrics, self.prompt_boost = metrics or Metrics(), prompt_boost
        self.admission = Admission(self.limits)
        self.is_ready = False
        """Whether each model has been run once."""
        self.sessions = 0
        """Open sessions of live recognition."""
        self._decoders = ThreadPoolExecutor(self.limits.decoders, "noisewise-decoder")

    async def start(self) -> None:
        """Run each model once."""
        await asyncio.to_thread(lambda: [each.warm_up() for each in self.models.all.values()])
        self.is_ready = True

    async def stop(self) -> None:
        """Finish what was taken."""
        self.is_ready = False
        await asyncio.to_thread(self.models.close)
        self._decoders.shutdown(wait=False, cancel_futures=True)

    async def decoded(self, file: BinaryIO, name: str) -> DecodedRecording:
        """A file as samples; see `recordings.decode`.

        Raises:
            ApiError: it is no audio, or exceeds a bound.
        """
        deadline = time.monotonic() + self.limits.request_seconds
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._decoders, decode, file, name, self.limits, deadline)
        self.metrics.received(found.samples, found.is_silent)
        return found

    async def transcribed(
        self, model: ServedRecogniser | ServedSystem, samples: Samples, options: RecognitionOptions
    ) -> Transcript:
        """The transcript of samples (T,) at 16 kHz.

        Raises:
            ApiError: the queue is full.
            NoisewiseError: the model cannot use them.
        """
        transcript = await _result(model.submit(samples, options))
        self.metrics.transcribed(transcript)
        return transcript

    async def tagged(self, model: ServedTagger, samples: Samples) -> Tags:
        """The labels of samples (T,) at 16 kHz; raises as `transcribed`."""
        return await _result(model.submit(samples))

    def check_languages(self, model: ServedRecogniser | ServedSystem, languages: tuple[str, ...]) -> str:
        """The language of a request: the first that it names and the model knows.

        Raises:
            ApiError: the model knows none of them.
        """
        known = model.languages
        codes = [each.lower().partition("-")[0] for each in languages]
        fitting = [code for code in codes if not known or code in known]
        if codes and not fitting:
            raise ApiError(
                f"`language` must be {' or '.join(known)} for `{model.name}`, but is '{languages[0][:50]}' instead; "
                "leave it out, or choose another model",
                "unsupported_language",
                param="language",
            )
        return (fitting or known or ["en"])[0]

    def hotwords(
        self, model: ServedRecogniser | ServedSystem, words: tuple[Hotword, ...], prompt: str
    ) -> tuple[tuple[Hotword, ...], list[str]]:
        """The hotwords of a request, and the fields that are passed over.

        Raises:
            ApiError: there are too many.
        """
        ignored = ["keywords"] if words and not isinstance(model, ServedRecogniser) else []
        if not isinstance(model, ServedRecogniser):
            return (), ignored + (["prompt"] if prompt else [])
        if prompt and self.prompt_boost is None:
            return words, ["prompt"]
        phrases = [each for each in prompt.split(",") if each.strip()]
        more: list[Hotword] = [(word, self.prompt_boost) for word in model.spellable(phrases)]
        return checked_hotwords([*words, *more], self.limits), ignored


async def _result(future: "Future[R]") -> R:
    """What a future gives; when nobody waits for it any more, it is taken back if it has not begun."""
    return await asyncio.wrap_future(future)


async def unless_gone(work: Awaitable[R], gone: Callable[[], Awaitable[None]]) -> R:
    """The result of some work, which is given up when the client goes away.

    Args:
        work: what is done.
        gone: ends when the client has gone.

    Raises:
        ClientGone: it has.
    """
    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        watch.cancel()


class ClientGone(Exception):
    """The client has closed the connection: nobody waits for the answer."""
