"""The models of a server: recognisers, systems of others, and taggers, each with a queue and a thread of its own."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from noisewise.audio.files.protocol import Samples
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.checkpoints import model_folder
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.fusion.spelling import spells
from noisewise.decoding.recording_decoder import Greedy, Hotwords, normalised_hotwords
from noisewise.errors import AudioError, ConfigError
from noisewise.evaluation.systems import loading
from noisewise.evaluation.systems.protocol import NamedRecogniser
from noisewise.evaluation.systems.specification import kind_of
from noisewise.evaluation.systems.taggers import is_tagger
from noisewise.evaluation.systems.transcriber import SystemTranscriber
from noisewise.files import read_json
from noisewise.inference.recogniser import Recogniser
from noisewise.inference.tagger import Tagger
from noisewise.inference.tags import Tags
from noisewise.inference.transcript import Transcript
from noisewise.serving.api_error import SERVER, ApiError
from noisewise.serving.batching import BatchObserver, BatchQueue, Job
from noisewise.serving.transcription_request import Hotword
from noisewise.text.normalise import fitting

CARD = "card.json"
"""File of a model folder with the numbers of its robustness card, as `noisewise card --numbers` writes it."""
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._/-]*)=(.+)", re.DOTALL)
WARM_UP_SECONDS = 1.0
R = TypeVar("R")


@dataclass(frozen=True)
class RecognitionOptions:
    """What a recogniser is asked for beside the text."""

    hotwords: tuple[Hotword, ...] = ()
    letters: bool = False
    """Whether words come with their letters (`AlignedWord`)."""


class ServedModel(Generic[R]):
    """A model behind a queue."""

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Job[R]]], Sequence[R | BaseException]],
        about: Mapping[str, Any],
        queue: Mapping[str, Any],
    ):
        self.name, self.created = name, int(time.time())
        self.languages = [str(each) for each in about.get("languages", [])]
        """Codes of the languages that it knows; empty where nothing is said about them."""
        self.card: dict[str, Any] | None = about.get("robustness")
        """Numbers of its robustness card."""
        self.queue: BatchQueue[R] = BatchQueue(run, name=name, **queue)

    def submit(self, samples: Samples, options: RecognitionOptions | None = None) -> "Future[R]":
        """Queue a recording (T,) at 16 kHz.

        Raises:
            ApiError: the queue is full or closed.
        """
        return self.queue.submit(Job(samples, options or RecognitionOptions()))

    def warm_up(self) -> None:
        """Run the model once, so that the first request does not wait for what a first run does."""
        noise = np.random.default_rng(0).normal(0, 0.1, round(WARM_UP_SECONDS * SAMPLE_RATE)).astype(np.float32)
        self.submit(noise).exception()

    def close(self) -> None:
        """Finish what was taken."""
        self.queue.close()

    @property
    def values(self) -> dict[str, Any]:
        """It in the form of `GET /v1/models`."""
        found = {"id": self.name, "object": "model", "created": self.created, "owned_by": "noisewise"}
        found |= {"languages": self.languages} if self.languages else {}
        return found | ({"robustness": self.card} if self.card is not None else {})


class ServedRecogniser(ServedModel[Transcript]):
    """A recogniser of noisewise."""

    def __init__(self, name: str, recogniser: Recogniser, languages: Sequence[str], queue: Mapping[str, Any]):
        self.recogniser = recogniser
        own = recogniser.hotwords
        self._own_hotwords = dict(own) if isinstance(own, Mapping) else dict.fromkeys(own)
        super().__init__(name, self._run, {"languages": languages, "robustness": _card(recogniser.folder)}, queue)

    def spellable(self, words: Sequence[str]) -> list[str]:
        """Those of the words that it can be told to favour."""
        tokenizer = self.recogniser.tokenizer
        found = normalised_hotwords(words, fitting(tokenizer.symbols))
        return [word for word in found if spells(tokenizer, word)]

    def _run(self, jobs: Sequence[Job[Transcript]]) -> list[Transcript | BaseException]:
        options: Any = jobs[0].options
        sources = [job.samples for job in jobs]
        hotwords = {**self._own_hotwords, **dict(options.hotwords)}
        found = dict(self.recogniser.each(sources, hotwords=hotwords))
        if options.letters:
            found |= self._with_letters(sources, found)
        return [_checked(found[position]) for position in range(len(jobs))]

    def _with_letters(self, sources: Sequence[Samples], found: Mapping[int, Transcript]) -> dict[int, Transcript]:
        """The transcripts with words, whose words are aligned once more, for their letters."""
        places = [place for place in found if found[place].words]
        aligned = dict(self.recogniser.align([(sources[place], found[place].text) for place in places]))
        return {place: aligned[number] for number, place in enumerate(places) if not aligned[number].has_failed}


class ServedSystem(ServedModel[Transcript]):
    """A system of others; `times` says whether its words or segments have times."""

    def __init__(self, name: str, system: NamedRecogniser, queue: Mapping[str, Any]):
        self._transcriber = SystemTranscriber(system)
        self.times = system.times
        super().__init__(name, self._run, {}, queue)

    def _run(self, jobs: Sequence[Job[Transcript]]) -> list[Transcript | BaseException]:
        found = dict(self._transcriber.each([job.samples for job in jobs]))
        return [self._or_error(found[position]) for position in range(len(jobs))]

    def _or_error(self, transcript: Transcript) -> Transcript | BaseException:
        if not transcript.has_failed:
            return transcript
        return ApiError(str(transcript.error), "model_failed", status=502, kind=SERVER)


class ServedTagger(ServedModel[Tags]):
    """A tagger of noisewise."""

    def __init__(self, name: str, tagger: Tagger, queue: Mapping[str, Any]):
        self.tagger = tagger
        super().__init__(name, self._run, {"robustness": _card(Path(tagger.folder))}, queue)

    def _run(self, jobs: Sequence[Job[Tags]]) -> list[Tags | BaseException]:
        found = self.tagger.tag([job.samples for job in jobs])
        return [each if each.error is None else AudioError(each.error) for each in found]


AnyServed = ServedRecogniser | ServedSystem | ServedTagger


class ServedModels:
    """The models by their names."""

    def __init__(self, models: Sequence[AnyServed]):
        self.all = {each.name: each for each in models}

    def get(self, name: str) -> AnyServed:
        """A model by its name.

        Raises:
            ApiError: 404, there is none of that name.
        """
        found = self.all.get(name)
        if found is None:
            known = ", ".join(self.all)
            raise ApiError(
                f"the model `{name[:100]}` does not exist; those that are served are {known}",
                "model_not_found",
                status=404,
                param="model",
            )
        return found

    def recogniser(self, name: str = "") -> ServedRecogniser | ServedSystem:
        """A recogniser by its name; the first if the name is empty.

        Raises:
            ApiError: there is none, or it is a tagger.
        """
        first = [each.name for each in self.all.values() if not isinstance(each, ServedTagger)]
        found = self.get(name or (first or ["recogniser"])[0])
        if isinstance(found, ServedTagger):
            raise ApiError(
                f"`model` must be a recogniser, but `{found.name}` is a tagger; use /v1/audio/tags", param="model"
            )
        return found

    def tagger(self, name: str = "") -> ServedTagger:
        """A tagger by its name; the first if the name is empty.

        Raises:
            ApiError: there is none, or it is a recogniser.
        """
        first = [each.name for each in self.all.values() if isinstance(each, ServedTagger)]
        found = self.get(name or (first or ["tagger"])[0])
        if not isinstance(found, ServedTagger):
            raise ApiError(
                f"`model` must be a tagger, but `{found.name}` is a recogniser; use /v1/audio/transcriptions",
                param="model",
            )
        return found

    def close(self) -> None:
        """Finish what was taken, and end all threads."""
        for each in self.all.values():
            each.close()


def named(specification: str) -> tuple[str, str]:
    """Name and specification of `NAME=FOLDER_OR_SPEC`; the name may be left out.

    Example:
        >>> named("whisper-1=box"), named("runs/an4/best"), named("openai:http://localhost:8000#tiny&language=en")[0]
        (('whisper-1', 'box'), ('best', 'runs/an4/best'), 'tiny&language=en')
    """
    if found := _NAMED.fullmatch(specification):
        return found[1], found[2]
    if kind_of(specification) != "model":
        return specification.partition(":")[2].rpartition("#")[2].strip() or specification, specification
    return Path(specification).name or specification, specification


def load(
    specifications: Sequence[str],
    *,
    device: str = "cpu",
    decoding: "Callable[[str], DecodingConfig | Greedy | None]" = lambda model: None,
    hotwords: Hotwords = (),
    queue: Mapping[str, Any] | None = None,
    observer: Callable[[str], BatchObserver] | None = None,
) -> ServedModels:
    """Read models.

    Args:
        specifications: `NAME=FOLDER_OR_SPEC` each; see `noisewise.evaluation.systems.loading`.
        device: where they run.
        decoding: tells how a recogniser of noisewise decodes.
        hotwords: of each request to a recogniser of noisewise.
        queue: arguments of `BatchQueue`.
        observer: makes what is told of the queue of a model, by its name.

    Raises:
        ConfigError: two models have one name.
        NoisewiseError: a model cannot be used.
    """
    wanted = dict[str, str]()
    for name, specification in map(named, specifications):
        if name in wanted:
            raise ConfigError(f"--model must give each model a name of its own, but two are `{name}`; give NAME=...")
        wanted[name] = specification
    found: list[AnyServed] = []
    for name, specification in wanted.items():
        options = dict(queue or {}) | ({} if observer is None else {"observer": observer(name)})
        found.append(_load(name, specification, device, decoding, hotwords, options))
    return ServedModels(found)


def _load(
    name: str,
    specification: str,
    device: str,
    decoding: "Callable[[str], DecodingConfig | Greedy | None]",
    hotwords: Hotwords,
    queue: Mapping[str, Any],
) -> AnyServed:
    if kind_of(specification) != "model":
        return ServedSystem(name, loading.load(specification, device=device, workers=4), queue)
    if is_tagger(specification):
        return ServedTagger(name, Tagger.load(specification, device), queue)
    recogniser = Recogniser.load(specification, device, decoding(specification), hotwords=hotwords)
    return ServedRecogniser(name, recogniser, _languages(recogniser.folder), queue)


def _languages(folder: Path) -> list[str]:
    """The languages that config.json of a folder names; English of the model that comes with the package."""
    if folder == model_folder.BOX:
        return ["en"]
    found = _json(folder / model_folder.CONFIG)
    languages = found.get("languages", []) if isinstance(found, dict) else []
    return [each for each in languages if isinstance(each, str)] if isinstance(languages, list) else []


def _card(folder: Path) -> dict[str, Any] | None:
    found = _json(folder / CARD)
    return found if isinstance(found, dict) else None


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def _checked(transcript: Transcript) -> Transcript | BaseException:
    return AudioError(str(transcript.error)) if transcript.has_failed else transcript
