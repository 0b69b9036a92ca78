"""What a command has finished, in a hidden file beside its output, so that it goes on after it was killed.

An entry is kept under a key made of all that its result depends on: the content of the recording, the part and the
channel, the weights of the model and the options. A recording that was renamed is taken from the state, one that has
changed is not.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TextIO, TypeVar

if TYPE_CHECKING:
    from noisewise.inference.sources import Input

NAME = ".noisewise-progress.jsonl"
"""Name of the state in a folder of outputs; beside an output file its name stands before it."""


class Result(Protocol):
    """What a command makes of a recording: a transcript, or tags."""

    @property
    def source(self) -> str:
        """Name of the recording."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether there is none."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        ...

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The same from these."""
        ...


R = TypeVar("R", bound=Result)


def state_file(output: Path, is_folder: bool) -> Path:
    """Where the state of an output is."""
    return output / NAME if is_folder else output.with_name(f".{output.name}{NAME}")


class Progress(Generic[R]):
    """The results that are finished.

    Used as a context: the file is removed when the block ends well, unless `resume` asks for it to be kept, for more
    recordings to be added later.
    """

    def __init__(self, path: Path, kind: type[R], settings: Mapping[str, Any], resume: bool):
        """Begin, or go on.

        Args:
            path: the state.
            kind: class of the results.
            settings: plain values of all options that change a result.
            resume: whether what is in the state counts.
        """
        self.path, self.resume = path, resume
        self._settings = json.dumps(settings, sort_keys=True, default=str)
        self._digests: dict[str, str] = {}
        self._found = _read(path, kind) if resume else {}
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.resume:
            self.path.unlink(missing_ok=True)
        self._file = self.path.open("a", encoding="utf-8", newline="\n")
        if self.path.stat().st_size:
            self._file.write("\n")  # a line that was torn by a kill ends here
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if kind is None and not self.resume:
            self.path.unlink(missing_ok=True)

    def key(self, found: "Input", text: str | None = None) -> str:
        """What the result of an input is kept under, with the text that belongs to it where there is one."""
        parts = [self._digest(found), found.start, found.duration, found.channel, self._settings]
        parts += [] if text is None else [text]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def get(self, found: "Input", text: str | None = None) -> R | None:
        """The result of an input, if it is finished."""
        if not self._found or found.audio is None:
            return None
        kept: Any = self._found.get(self.key(found, text))
        return None if kept is None else replace(kept, source=found.name)

    def add(self, found: "Input", result: R, text: str | None = None) -> None:
        """Keep a result; what has failed is tried again."""
        if self._file is not None and not result.has_failed:
            self._file.write(json.dumps({"key": self.key(found, text), "result": result.to_dict()}) + "\n")
            self._file.flush()

    def _digest(self, found: "Input") -> str:
        """SHA-256 of the content, with the form of raw samples; that of a path is computed once."""
        from noisewise.audio.waveform import RawRecording

        audio: Any = found.audio
        form = ""
        if isinstance(audio, RawRecording):
            form, audio = f"{audio.rate} {audio.channels} {audio.dtype} ", audio.file
        name = str(audio)
        if name not in self._digests:
            self._digests[name] = _sha256(audio)
        return form + self._digests[name]


def _sha256(audio: Any) -> str:
    if isinstance(audio, str | Path):
        try:
            with open(audio, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""  # what is wrong is said when it is read
    digest = hashlib.sha256()
    audio.seek(0)
    while piece := audio.read(1 << 20):
        digest.update(piece)
    audio.seek(0)
    return digest.hexdigest()


def _read(path: Path, kind: type[R]) -> dict[str, R]:
    """Keys and results of a state; lines that are torn are passed over."""
    from noisewise.errors import DataError

    found: dict[str, R] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            values = json.loads(line)
            found[str(values["key"])] = kind.from_dict(values["result"])
        except (ValueError, KeyError, TypeError, RecursionError, DataError):
            continue
    return found
