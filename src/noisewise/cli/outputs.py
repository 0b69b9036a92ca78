"""Results to standard output, to one file, or to a file for each recording, as soon as they are there."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Pieces(Protocol[R_contra]):
    """A document that is written piece by piece, such as `noisewise.inference.transcript.Document`."""

    def head(self) -> str:
        """What stands before the recordings."""

    def part(self, results: Sequence[R_contra], /) -> str:
        """The results of some recordings."""

    def foot(self) -> str:
        """What stands after them."""


def is_folder(output: Path | None) -> bool:
    """Whether what `--output` names is a folder, or shall be one: a name without a suffix."""
    return output is not None and (output.is_dir() or (not output.suffix and not output.exists()))


class Output(Generic[R]):
    """Takes the results of recordings in any order.

    On standard output they appear in the order of the recordings, each as soon as those before it are there; in a
    folder each has a file of its own, written when it comes; a file is written when all have come. Files appear whole.
    """

    def __init__(
        self,
        names: Sequence[str],
        document: Callable[[Sequence[R] | None], Pieces[R]],
        output: Path | None,
        suffix: str,
        is_shown: Callable[[Sequence[R]], bool] = lambda results: True,
    ):
        """Choose where they go.

        Args:
            names: one of each recording; the names of files are made of them, no two the same.
            document: makes a document for the results of one recording, or for all (None).
            output: a file or a folder; None to print.
            suffix: of the files in a folder, without a dot.
            is_shown: whether the results of a recording get a file of their own.
        """
        from noisewise.inference.transcript import short_names

        self._document, self._output, self._suffix, self._is_shown = document, output, suffix, is_shown
        self._folder = is_folder(output)
        self._files = short_names(names) if self._folder else list(names)
        self._waiting: dict[int, Sequence[R]] = {}
        self._next = 0
        self._printed: Pieces[R] | None = None
        if self._output is None and hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")

    def put(self, position: int, results: Sequence[R]) -> None:
        """Take the results of a recording."""
        if self._output is not None and self._folder:
            if self._is_shown(results):
                self._write(self._output / f"{self._files[position]}.{self._suffix}", results)
            return
        self._waiting[position] = results
        if self._output is not None:
            return
        while self._next in self._waiting:
            self._print(self._waiting.pop(self._next))
            self._next += 1

    def finish(self) -> None:
        """Write what is left."""
        if self._folder:
            return
        if self._output is not None:
            from noisewise.files import replaced

            with replaced(self._output) as file:
                document = self._document(None)
                file.write(document.head())
                for position in sorted(self._waiting):
                    file.write(document.part(self._waiting[position]))
                file.write(document.foot())
            return
        if self._printed is None:
            self._begin()
        if self._printed is not None:
            print(self._printed.foot(), end="", flush=True)

    def _begin(self) -> None:
        self._printed = self._document(None)
        print(self._printed.head(), end="")

    def _print(self, results: Sequence[R]) -> None:
        if self._printed is None:
            self._begin()
        assert self._printed is not None
        print(self._printed.part(results), end="", flush=True)

    def _write(self, path: Path, results: Sequence[R]) -> None:
        from noisewise.files import replaced

        document = self._document(results)
        with replaced(path) as file:
            file.write(document.head() + document.part(results) + document.foot())


class Faults:
    """Says what is wrong with recordings as it comes up, and remembers that something was."""

    def __init__(self) -> None:
        self.count = 0

    def say(self, results: Iterable[Any]) -> None:
        """Print the `error` of those that have one, each in a line on standard error."""
        from noisewise.inference.transcript import clean

        for each in results:
            if each.error is not None:
                self.count += 1
                print(f"noisewise: {clean(each.error)}", file=sys.stderr)

    def status(self) -> int:
        """Exit status: 1 where something was wrong."""
        return int(self.count > 0)


@contextmanager
def progress_bar(total: int, doing: str) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr, if someone is there to see it and there is more than one recording."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda: progress.advance(task)
