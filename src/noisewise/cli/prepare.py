"""`noisewise prepare CORPUS ...`: from a corpus to validated manifests."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from noisewise.data.prepared import Part

CORPORA = {
    "an4": "IN OUT: the CMU alphanumeric corpus as distributed (wav/ and etc/)",
    "table": "IN OUT: your own folder, TSV, CSV or JSONL",
    "spoken-commands": "OUT: speak spelled words, digits, dates and commands with espeak-ng",
    "babble": "SPEECH OUT: sum several speakers of a manifest into babble noise",
}
PATHS = {"an4": 2, "table": 2, "spoken-commands": 1, "babble": 2}


def command(
    corpus: Annotated[str, typer.Argument(help="; ".join(f"{name} {text}" for name, text in CORPORA.items()))],
    paths: Annotated[list[str], typer.Argument(help="What is read (IN or SPEECH) and the folder to make (OUT).")],
    seed: Annotated[int, typer.Option(help="Of spoken-commands and babble.")] = 0,
    utterances: Annotated[int, typer.Option(min=1, help="Of spoken-commands: how many.")] = 1000,
    clips: Annotated[int, typer.Option(min=1, help="Of babble: how many.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of babble: length of a clip.")] = 30.0,
    voices: Annotated[tuple[int, int], typer.Option(help="Of babble: fewest and most speakers in a clip.")] = (4, 10),
    workers: Annotated[int | None, typer.Option(min=1, help="Of spoken-commands: synthesisers at a time.")] = None,
) -> None:
    """Write manifests and a record of them; a second run skips what is finished.

    The exit status is 1 when entries were rejected (they are listed in rejected.jsonl) and the rest was
    written.
    """
    from pathlib import Path

    source, output = _checked(corpus, paths)
    bar = _Bar()
    match corpus:
        case "an4":
            from noisewise.data.corpora import an4

            parts = an4.prepare(Path(source), output)
        case "table":
            from noisewise.data.corpora import table

            parts = table.prepare(source, output)
        case "spoken-commands":
            from noisewise.data.corpora import spoken_commands

            parts = spoken_commands.prepare(output, utterances=utterances, seed=seed, workers=workers, report=bar.show)
        case _:
            from noisewise.data.corpora import babble

            parts = babble.prepare(
                source, output, clips=clips, seconds=seconds, voices=voices, seed=seed, report=bar.show
            )
    _tell(parts, str(output))


def _checked(corpus: str, paths: list[str]) -> "tuple[str, Path]":
    from difflib import get_close_matches
    from pathlib import Path

    from noisewise.config import NoisewiseError

    if corpus not in CORPORA:
        near = get_close_matches(corpus, CORPORA, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "see `noisewise prepare --help`"
        raise NoisewiseError(f"`CORPUS` must be one of {', '.join(CORPORA)}, but is '{corpus}' instead; {hint}")
    if len(paths) != PATHS[corpus]:
        raise NoisewiseError(
            f"`{corpus}` must get {CORPORA[corpus].partition(':')[0]}, but got {len(paths)} paths instead"
        )
    return paths[0], Path(paths[-1])


def _tell(parts: "list[Part]", output: str) -> None:
    rejected = 0
    for part in parts:
        state = "made" if part.fresh else "was there"
        minutes = part.seconds / 60
        print(f"{output}/{part.file}: {part.utterances} entries, {minutes:.1f} minutes, {state}")
        rejected += len(part.rejected)
        for item in part.rejected[:5]:
            print(f"rejected ({item.reason}): {item.message}", file=sys.stderr)
    if rejected:
        print(f"{rejected} entries were rejected; all are in {output}/rejected.jsonl", file=sys.stderr)
        raise typer.Exit(1)


class _Bar:
    """A bar on a terminal, nothing elsewhere."""

    def show(self, done: int, total: int) -> None:
        """Say how far it is."""
        if sys.stderr.isatty() and (done == total or done % 20 == 0):
            end = "\n" if done == total else ""
            print(f"\r{done} of {total}", end=end, file=sys.stderr, flush=True)
