"""`noisewise prepare CORPUS ...`: from a corpus to validated manifests."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisewise.data.corpora.preparation import Part

LISTS = ("--channels", "--columns")
"""Options that take several values in a row."""


@dataclass(frozen=True)
class Corpus:
    """One line of the table: the function is `prepare` of `noisewise.data.corpora.MODULE`."""

    module: str
    paths: str
    about: str
    options: tuple[str, ...] = ("workers",)
    rejected: str = "/rejected.jsonl"
    """What is appended to OUT to find the list of rejected entries."""


MADE = ("seed", "workers", "utterances")
CORPORA = {
    "librispeech": Corpus("librispeech", "IN OUT", "LibriSpeech or Mini LibriSpeech, the subsets that are there"),
    "chime4": Corpus("chime4", "IN OUT", "CHiME-4 with its partners without noise", ("channels", "wsj0", "workers")),
    "robust-asr": Corpus(
        "robust_asr", "IN OUT", "FreeSound noises, noisy LibriSpeech test set", ("librispeech", "workers")
    ),
    "musan": Corpus("musan", "IN OUT", "MUSAN: music, noise, speech"),
    "free-spoken-digits": Corpus("free_spoken_digits", "IN OUT", "Free Spoken Digit Dataset"),
    "speech-commands": Corpus("speech_commands", "IN OUT", "Speech Commands v2, 35 words, and its background noise"),
    "esc50": Corpus("esc50", "IN OUT", "ESC-50 with its folds"),
    "audioset": Corpus("audioset", "IN OUT", "AudioSet: segment lists and a folder of clips"),
    "vctk": Corpus("vctk", "IN OUT", "CSTR VCTK 0.92 or 0.80"),
    "common-voice": Corpus("common_voice", "IN OUT", "one language of Common Voice"),
    "an4": Corpus("an4", "IN OUT", "the CMU alphanumeric corpus as distributed (wav/ and etc/)", ()),
    "table": Corpus(
        "table",
        "IN OUT",
        "your own folder or table (layouts: docs/guides/data.md)",
        ("columns", "hold_out", "seed"),
    ),
    "shards": Corpus("shards", "MANIFEST OUT", "few large files instead of many small ones", ("shard_size", "workers")),
    "spoken-commands": Corpus("spoken_commands", "OUT", "words and digits spoken by espeak-ng", MADE),
    "spoken-text": Corpus(
        "spoken_text",
        "TEXT OUT",
        "sentences of a text file, or a folder of them, spoken by espeak-ng and Piper voices",
        ("voice", "licence", "seed", "limit", "hours", "minimum_words", "maximum_words", "rooms", "workers"),
    ),
    "babble": Corpus(
        "babble", "SPEECH OUT", "several speakers of a manifest at once", ("seed", "clips", "seconds", "voices")
    ),
}
DEFAULTS = {
    "voice": (),
    "shard_size": 1000,
    "seed": 0,
    "utterances": 1000,
    "clips": 20,
    "seconds": 30.0,
    "voices": (4, 10),
}


def command(
    corpus: Annotated[
        str, typer.Argument(help="; ".join(f"{name} {made.paths}: {made.about}" for name, made in CORPORA.items()))
    ],
    paths: Annotated[
        list[str], typer.Argument(help="Source to read (IN, SPEECH or MANIFEST), and the folder to write (OUT).")
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of files at a time.", show_default="all cores")
    ] = None,
    channels: Annotated[
        list[int] | None, typer.Option(min=0, max=6, help="Microphones, for chime4.", show_default="1 3 4 5 6")
    ] = None,
    wsj0: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="WSJ0 with its .dot files, for chime4, if it is in another folder."),
    ] = None,
    librispeech: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Folder of the *.trans.txt of test-clean, for robust-asr.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN", help="Columns, for table: path=sound text=words; numbers where there is no header."
        ),
    ] = None,
    hold_out: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Share to hold out for validation, by speaker where there are three, for table."
        ),
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(min=1, help="Number of entries in each shard, for shards.", show_default="1000")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed, for spoken-commands, spoken-text, babble, table.", show_default="0")
    ] = None,
    utterances: Annotated[
        int | None, typer.Option(min=1, help="Number of utterances, for spoken-commands.", show_default="1000")
    ] = None,
    clips: Annotated[int | None, typer.Option(min=1, help="Number of clips, for babble.", show_default="20")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Length of a clip in seconds, for babble.", show_default="30")
    ] = None,
    voices: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Fewest and most speakers in a clip, for babble.", show_default="4 10"),
    ] = None,
    voice: Annotated[
        list[str] | None,
        typer.Option(
            help="Voice, for spoken-text: espeak (all), espeak:NAME, piper:FILE.onnx or piper:PACKAGE; given twice, it "
            "speaks twice as often."
        ),
    ] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(metavar="VOICE=TERMS", help="Licence of a voice that does not say it, for spoken-text."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most sentences, for spoken-text.")] = None,
    hours: Annotated[
        float | None, typer.Option(help="Speech after which no more is made, in hours, for spoken-text.")
    ] = None,
    minimum_words: Annotated[
        int | None, typer.Option(min=1, help="Fewest words of a sentence, for spoken-text.", show_default="4")
    ] = None,
    maximum_words: Annotated[
        int | None, typer.Option(min=1, help="Most words of a sentence, for spoken-text.", show_default="22")
    ] = None,
    rooms: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Share that is spoken in a room, for spoken-text.", show_default="0"),
    ] = None,
) -> None:
    """Turn a corpus into validated manifests; a second run skips the finished ones.

    The exit status is 1 when entries were rejected (they are listed in rejected.jsonl) and the rest was
    written.
    """
    from importlib import import_module
    from pathlib import Path

    given = {
        "workers": workers,
        "channels": channels or None,
        "wsj0": Path(wsj0) if wsj0 else None,
        "librispeech": Path(librispeech) if librispeech else None,
        "columns": _pairs(columns, "--columns", "NAME=COLUMN", "path=file text=words") if columns else None,
        "hold_out": hold_out,
        "shard_size": shard_size,
        "seed": seed,
        "utterances": utterances,
        "clips": clips,
        "seconds": seconds,
        "voices": voices,
        "voice": voice or None,
        "licence": _pairs(licence, "--licence", "VOICE=TERMS", "piper:joe.onnx=CC0-1.0") if licence else None,
        "limit": limit,
        "hours": hours,
        "minimum_words": minimum_words,
        "maximum_words": maximum_words,
        "rooms": rooms,
    }
    made = _checked(corpus, paths)
    options = _options(corpus, made, {name: value for name, value in given.items() if value is not None})
    prepare: Callable[..., list[Part]] = import_module(f"noisewise.data.corpora.{made.module}").prepare
    sources = [Path(path) if made.paths.startswith("IN") else path for path in paths[:-1]]
    parts = prepare(*sources, Path(paths[-1]), **options)
    if corpus == "table" and not any(part.texts or part.texts is None for part in parts):
        _warn_of_no_text(sources[0], paths[-1], sum(part.utterances for part in parts))
    _tell(parts, paths[-1], made.rejected)


def _pairs(given: list[str], option: str, form: str, example: str) -> dict[str, str]:
    from noisewise.errors import ConfigError

    pairs = {}
    for each in given:
        ours, equals, theirs = each.partition("=")
        if not equals or not ours or not theirs or ours in pairs:
            raise ConfigError(f"`{option}` must be {form}, each once, but has '{each}'; say {example}")
        pairs[ours] = theirs
    return pairs


def _warn_of_no_text(source: Any, output: str, entries: int) -> None:
    from noisewise.data.manifests.folders import surveyed

    tables = surveyed(source).tables if source.is_dir() else [source] if source.is_file() else []
    line = f"noisewise prepare table {tables[0] if tables else 'TABLE'} {output} --columns path=COLUMN text=COLUMN"
    there = f"{', '.join(path.name for path in tables[:5])} would be read by" if tables else "name a table of them:"
    print(
        f"warning: {entries} entries, 0 with text: training a recogniser needs transcripts (noise needs none), beside "
        f"the audio (a.wav, a.txt) or in a table; {there} `{line}`",
        file=sys.stderr,
    )


def _checked(corpus: str, paths: list[str]) -> Corpus:
    from difflib import get_close_matches

    from noisewise.errors import NoisewiseError

    if corpus not in CORPORA:
        near = get_close_matches(corpus, CORPORA, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "see `noisewise prepare --help`"
        raise NoisewiseError(f"`CORPUS` must be one of {', '.join(CORPORA)}, but is '{corpus}' instead; {hint}")
    made = CORPORA[corpus]
    if len(paths) != len(made.paths.split()):
        raise NoisewiseError(f"`{corpus}` must get {made.paths}, but got {len(paths)} paths instead")
    return made


def _options(corpus: str, made: Corpus, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a corpus with their defaults, and the progress bar for those that show one."""
    from noisewise.errors import NoisewiseError

    foreign = sorted(set(given) - set(made.options))
    if foreign:
        raise NoisewiseError(
            f"`{corpus}` must go without --{foreign[0].replace('_', '-')}, but got it; see `noisewise prepare --help`"
        )
    options = {name: DEFAULTS[name] for name in made.options if name in DEFAULTS} | given
    return {**options, "report": _Bar().show} if made.options else options


def _tell(parts: "list[Part]", output: str, listed: str) -> None:
    rejected = 0
    for part in parts:
        state = "written" if part.fresh else "already there"
        length = f"{part.seconds / 60:.1f} minutes" if part.seconds < 3600 else f"{part.seconds / 3600:.1f} hours"
        counts = f"{part.utterances} entries"
        if part.texts is not None:
            counts += f", {part.texts} with text"
        if part.speakers:
            counts += f", {part.speakers} speakers"
        print(f"{output}/{part.file}: {counts}, {length}, {state}")
        rejected += len(part.rejected)
        for item in part.rejected[:5]:
            print(f"rejected ({item.reason}): {item.message}", file=sys.stderr)
    if rejected:
        print(f"{rejected} entries were rejected; all are in {output}{listed}", file=sys.stderr)
        raise typer.Exit(1)


class _Bar:
    """A progress line on a terminal, nothing in a file or pipe."""

    def show(self, done: int, total: int) -> None:
        """Show the progress."""
        if sys.stderr.isatty() and (done == total or done % 20 == 0):
            end = "\n" if done == total else ""
            print(f"\r{done} of {total}", end=end, file=sys.stderr, flush=True)
