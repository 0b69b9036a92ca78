"""`noisewise check MANIFEST ...`: faults of a corpus, found before training."""

import sys
import time
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from noisewise.data.checks.audio_stats import AudioStats
    from noisewise.data.checks.check import Rules, Summary
    from noisewise.data.checks.reasons import Finding
    from noisewise.data.manifests.cuts import Cut
    from noisewise.text.tokenizer import Tokenizer

SHOWN = 3
"""Examples of each reason that are printed."""
HOP = 320
"""Samples from frame to frame without a model and `--hop`: 20 ms, as in wav2vec 2.0."""


def command(
    manifests: Annotated[
        list[str], typer.Argument(help="Manifests, tables or folders; several are compared with each other.")
    ],
    model: Annotated[str | None, typer.Option(help="Model folder or `box`, whose vocabulary and hop are used.")] = None,
    tokens: Annotated[
        str | None, typer.Option(help="File of the vocabulary, one symbol a line.", show_default="A-Z and '")
    ] = None,
    hop: Annotated[
        int | None, typer.Option(min=1, help="Samples at 16 kHz from frame to frame.", show_default="320")
    ] = None,
    clipped: Annotated[float, typer.Option(min=0, max=1, help="Greatest share of samples at full scale.")] = 0.001,
    max_seconds: Annotated[float, typer.Option(min=0.001, help="Greatest length of a recording in seconds.")] = 3600.0,
    audio_only: Annotated[bool, typer.Option("--audio-only", help="Do not require transcripts (for noise).")] = False,
    ignore: Annotated[str, typer.Option(help="Reason codes to ignore, with commas between.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors.")] = False,
    report: Annotated[str | None, typer.Option(help="Write all findings to this file, JSON.")] = None,
    quarantine: Annotated[
        str | None, typer.Option(help="Write the ids with errors to this file, for `quarantine` of a recipe.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="Write length and signal-to-noise ratio of each recording to this file, tab-separated: by WADA, and "
            "by the energy of its frames."
        ),
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(help="Keep the statistics of recordings in this file; a second check decodes changed files only."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of files decoded at a time.", show_default="one a core, at most 8")
    ] = None,
) -> None:
    """Decode every entry and list its faults; docs/guides/check.md explains the reason codes.

    The exit status is 0 without errors (warnings or not), 1 with errors, 2 when a manifest cannot be read.
    """
    import os
    from pathlib import Path

    from noisewise.data.checks.check import Rules, check
    from noisewise.data.checks.quarantine import write_quarantine
    from noisewise.data.checks.reasons import Spool, write_report

    tokenizer, found_hop = _vocabulary(model, tokens)
    rules = Rules(
        tokenizer, hop or found_hop, clipped, max_seconds, not audio_only, ignore=_codes(ignore), strict=strict
    )
    for path in filter(None, (report, quarantine, table, cache)):
        _check_parent(Path(path))
    spool, progress = Spool(), _Progress()
    chosen = workers or min(8, os.cpu_count() or 1)
    kept = None if cache is None else Path(cache)
    with _Table(table) as rows:
        summary = check(manifests, rules, spool.add, workers=chosen, cache=kept, each=rows.add, report=progress.show)
    progress.end(summary)
    _tell(summary, spool, rules)
    if report is not None:
        write_report(Path(report), _facts(manifests, rules, summary), spool)
    if quarantine is not None:
        count = write_quarantine(Path(quarantine), spool)
        print(f"{quarantine}: {count} entries for training to leave out")
    if summary.bad or summary.counts["bad_row"]:
        raise typer.Exit(1)


def _vocabulary(model: str | None, tokens: str | None) -> "tuple[Tokenizer, int]":
    from noisewise.errors import NoisewiseError
    from noisewise.text.tokenizer import CharacterTokenizer

    if model is not None and tokens is not None:
        raise NoisewiseError("one of `--model` and `--tokens` must be given, but both are; drop one")
    if model is not None:
        from noisewise.checkpoints import model_folder

        loaded = model_folder.load(model)
        return loaded.tokenizer, loaded.model.hop
    return CharacterTokenizer() if tokens is None else CharacterTokenizer.load(tokens), HOP


def _codes(text: str) -> frozenset[str]:
    from difflib import get_close_matches

    from noisewise.data.checks.reasons import REASONS
    from noisewise.errors import NoisewiseError

    codes = frozenset(filter(None, (part.strip() for part in text.split(","))))
    for code in sorted(codes - REASONS.keys()):
        near = get_close_matches(code, REASONS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"they are {', '.join(REASONS)}"
        raise NoisewiseError(f"`--ignore` must name reason codes, but has '{code}'; {hint}")
    return codes


def _check_parent(path: "Path") -> None:
    """Refuse before the work what could not be written after it."""
    from noisewise.errors import NoisewiseError

    if path.is_dir() or not path.absolute().parent.is_dir():
        raise NoisewiseError(f"`{path}` must be a file in a folder that exists, but is not; make the folder")


def _facts(manifests: list[str], rules: "Rules", summary: "Summary") -> dict[str, object]:
    from noisewise import __version__

    return {
        "noisewise": __version__,
        "manifests": manifests,
        "rules": {
            "normaliser": rules.normaliser.name,
            "symbols": rules.tokenizer.symbols,
            "hop": rules.hop,
            "clipped": rules.clipped,
            "max_seconds": rules.max_seconds,
            "texts": rules.texts,
            "ignore": sorted(rules.ignore),
            "strict": rules.strict,
        },
        "entries": summary.entries,
        "entries_with_errors": summary.bad,
        "seconds": round(summary.seconds, 3),
        "snr_db": {name: summary.percentiles(name) for name in summary.snrs_db},
        "counts": dict(summary.counts.most_common()),
    }


def _tell(summary: "Summary", findings: "Iterable[Finding]", rules: "Rules") -> None:
    from noisewise.data.checks.reasons import REASONS

    print(f"{summary.entries} entries, {summary.seconds / 60:.1f} minutes, {summary.bad} entries with errors")
    for name, method in (("wada", "WADA"), ("energy", "the energy of frames")):
        if shares := summary.percentiles(name):
            low, median, high = shares
            print(f"SNR by {method}: median {median:.1f} dB, 90 % between {low:.1f} and {high:.1f} dB")
    if not summary.counts:
        return
    print(f"{'reason':<20} {'severity':<8} {'entries':>8}  meaning")
    for reason, (severity, meaning) in REASONS.items():
        if summary.counts[reason]:
            shown = "error" if rules.strict and severity == "warning" else severity
            print(f"{reason:<20} {shown:<8} {summary.counts[reason]:>8}  {meaning}")
    left = dict.fromkeys(REASONS, SHOWN)
    for item in findings:
        left[item.reason] -= 1
        if left[item.reason] >= 0 and item.severity != "note":
            name = "" if item.reason == "bad_row" else f"`{item.manifest}`, line {item.line}, {item.id}: "
            print(f"{item.severity} ({item.reason}): {name}{' '.join(item.message.split())}", file=sys.stderr)


class _Table:
    """A line for each recording, whole or not at all."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.stack = ExitStack()
        self.file: IO[str] | None = None

    def __enter__(self) -> "_Table":
        from pathlib import Path

        from noisewise.files import replaced

        if self.path is not None:
            self.file = self.stack.enter_context(replaced(Path(self.path)))
            self.file.write("id\tduration_seconds\twada_snr_db\tenergy_snr_db\n")
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)

    def add(self, cut: "Cut", stats: "AudioStats") -> None:
        """Write one line; fields of what is not known are empty."""
        from noisewise.safe_text import csv_cell

        if self.file is not None:
            values = (stats.seconds or None, stats.wada_snr_db, stats.energy_snr_db)
            numbers = ("" if value is None else f"{value:.2f}" for value in values)
            self.file.write("\t".join([csv_cell(" ".join(cut.id.split())), *numbers]) + "\n")


class _Progress:
    """Number of entries checked: on one line of a terminal, or a line every half minute in a file or pipe."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.every = 0.2 if self.terminal else 30.0
        self.shown = time.monotonic()

    def show(self, summary: "Summary") -> None:
        """Show the progress, now and then."""
        if time.monotonic() - self.shown >= self.every:
            self.shown = time.monotonic()
            self._print(summary)

    def end(self, summary: "Summary") -> None:
        """Leave the line."""
        if self.terminal:
            self._print(summary)
            print(file=sys.stderr)

    def _print(self, summary: "Summary") -> None:
        start, end = ("\r", "") if self.terminal else ("", "\n")
        text = f"{summary.entries} checked, {summary.bad} with errors"
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)
