"""`noisewise mix`: write a fixed noisy set, make it again from its ledger, or verify it."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from noisewise.data.corpora.preparation import Rejected
    from noisewise.data.noise.noisy_sets import LedgerEntry

LISTS = ("--snr",)
"""Options that take several values in a row."""


def command(
    paths: Annotated[
        list[str],
        typer.Argument(help="SPEECH NOISE OUT; with --rebuild also SPEECH NOISE OUT; with --verify none."),
    ] = [],  # noqa: B006  (typer reads the default, nothing writes to it)
    snr: Annotated[
        list[float] | None, typer.Option(help="Signal-to-noise ratios in dB.", show_default="0 5 10 15 20")
    ] = None,
    types: Annotated[
        str | None, typer.Option(help="Noise types, with commas between.", show_default="all there are")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws of noise files and segments.")] = 0,
    per_utterance: Annotated[
        bool,
        typer.Option(
            "--per-utterance", help="Mix each utterance with one noise type, drawn by its id, instead of all."
        ),
    ] = False,
    compat: Annotated[
        bool,
        typer.Option(
            "--compat",
            help="Take the square root of the gain, as the code of published test sets does: about half the SNR.",
        ),
    ] = False,
    rebuild: Annotated[
        str | None, typer.Option(metavar="LEDGER", help="Rebuild the set of this ledger from its sources.")
    ] = None,
    verify: Annotated[
        str | None, typer.Option(metavar="LEDGER", help="Compare the files beside this ledger with it.")
    ] = None,
) -> None:
    """Write a noisy test set that anyone can make again bit for bit.

    OUT gets type/snr/utterance.flac, manifest.tsv and ledger.jsonl. The exit status is 1 when some
    utterances could not be mixed, or some files differ from the ledger.
    """
    from noisewise.errors import NoisewiseError

    needed = 0 if verify else 3
    if len(paths) != needed or (verify and rebuild):
        wanted = "no other path" if verify else "SPEECH NOISE OUT"
        raise NoisewiseError(f"`noisewise mix` must get {wanted}, but got {len(paths)} paths; see --help")
    if verify:
        problems = _verify(verify)
    elif rebuild:
        problems = _rebuild(rebuild, *paths)
    else:
        problems = _write(paths, snr or [0.0, 5.0, 10.0, 15.0, 20.0], types, seed, per_utterance, compat)
    for problem in problems[:5]:
        print(f"{problem.reason}: {problem.message}", file=sys.stderr)
    if problems:
        raise typer.Exit(1)


def _write(
    paths: list[str], snr: list[float], types: str | None, seed: int, per_utterance: bool, compat: bool
) -> "list[Rejected]":
    from pathlib import Path

    from noisewise.data.corpora.preparation import REJECTED, write_rejected
    from noisewise.data.manifests import read as manifest
    from noisewise.data.noise import noisy_sets as ledger
    from noisewise.data.noise.pool import NoiseConfig, NoisePool

    chosen = None if types is None else types.split(",")
    pool = NoisePool.load(NoiseConfig(manifest=paths[1], types=chosen, compat=compat), seed)
    output = Path(paths[2])
    speech = list(manifest.read(paths[0]))
    made = ledger.write(speech, pool, output, snrs_db=snr, per_utterance=per_utterance, report=_show)
    write_rejected(output / REJECTED, made.rejected)
    print(f"{output}: {len(made.entries)} mixtures, {_accuracy(made.entries, compat)}")
    return made.rejected


def _accuracy(entries: "Sequence[LedgerEntry]", compat: bool) -> str:
    """The true ratios beside the nominal ones, in words."""
    if not compat:
        worst = max(abs(entry.measured_snr_db - entry.snr_db) for entry in entries)
        return f"true SNR within {worst:.1g} dB of the nominal"
    means = []
    for ratio in sorted({entry.snr_db for entry in entries}):
        true = [entry.measured_snr_db for entry in entries if entry.snr_db == ratio]
        means.append(f"{sum(true) / len(true):.1f} dB for {ratio:g}")
    return f"true SNR on average {', '.join(means)} (compat; each is in the ledger as measured_snr_db)"


def _rebuild(path: str, speech: str, noise: str, output: str) -> "list[Rejected]":
    from pathlib import Path

    from noisewise.data.manifests import read as manifest
    from noisewise.data.noise import noisy_sets as ledger

    header, entries = ledger.read(Path(path))
    voices, noises = list(manifest.read(speech)), list(manifest.read(noise))
    problems = ledger.rebuild(Path(path), voices, noises, Path(output), report=_show)
    print(f"{output}: {len(entries) - len(problems)} of {len(entries)} mixtures rebuilt, bit for bit")
    if problems:
        print(f"the set was made with {header['versions']}", file=sys.stderr)
    return problems


def _verify(path: str) -> "list[Rejected]":
    from pathlib import Path

    from noisewise.data.noise import noisy_sets as ledger

    _, entries = ledger.read(Path(path))
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    problems = ledger.verify(folder, entries)
    print(f"{folder}: {len(entries) - len(problems)} of {len(entries)} files agree with the ledger")
    return problems


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty() and (done == total or done % 20 == 0):
        print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
