"""`noisewise probe STORE ... --labels MANIFEST --folds COLUMN`: how well frozen vectors predict labels."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisewise.embeddings.probe_result import Kind, Probes


def command(
    stores: Annotated[list[str], typer.Argument(help="Folders that `noisewise embed` wrote.")],
    labels: Annotated[str, typer.Option(help="Manifest of the same clips, with labels.")],
    folds: Annotated[str, typer.Option(help="Column with the fold, or the split, of a clip.")] = "fold",
    test: Annotated[
        str | None, typer.Option(help="Folds that are the test set, each in turn, joined by commas; else all.")
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            help="Fold of training that chooses the strength; else the smallest, or the one after the test fold."
        ),
    ] = None,
    label: Annotated[str, typer.Option(help='Column with the classes, several joined by ";".')] = "label",
    groups: Annotated[
        str | None, typer.Option(help="Column that says which clips belong together; intervals resample groups.")
    ] = None,
    probe: Annotated[str, typer.Option(help="linear, knn, or both: linear,knn.")] = "linear,knn",
    seed: Annotated[
        int, typer.Option(help="Seed of the bootstrap, and of the held-out draw where training is one fold.")
    ] = 0,
    output: Annotated[str | None, typer.Option(help="Write the result as JSON.")] = None,
) -> None:
    """Accuracy, or mean average precision where clips have several labels, with 95 % bootstrap intervals."""
    from pathlib import Path

    from noisewise.data.manifests.read import read
    from noisewise.embeddings.probe import probe_stores
    from noisewise.embeddings.probe_result import Probes

    found = probe_stores(
        stores,
        list(read(labels)),
        _kinds(probe),
        label=label,
        fold=folds,
        group=groups,
        tests=test.split(",") if test else (),
        held_out=held_out,
        seed=seed,
    )
    result = Probes(found, _about(labels, label, folds, groups, seed))
    _tell(result)
    if output is not None:
        result.save(Path(output))


def _kinds(names: str) -> "list[Kind]":
    from noisewise.embeddings.probe import PROBES
    from noisewise.errors import NoisewiseError

    kinds = [kind for kind in PROBES if kind in names.split(",")]
    if not kinds or set(names.split(",")) - set(PROBES):
        raise NoisewiseError(f"`--probe` must be of {', '.join(PROBES)}, joined by commas, but is '{names}' instead")
    return kinds


def _about(labels: str, label: str, folds: str, groups: str | None, seed: int) -> dict[str, object]:
    from noisewise.evaluation.provenance import command, portable, versions

    return {
        "command": command(["noisewise", *sys.argv[1:]]),
        "labels": portable(labels),
        "columns": {"label": label, "folds": folds, "groups": groups},
        "seed": seed,
        "versions": versions(),
    }


def _tell(result: "Probes") -> None:
    print(result.markdown(), end="")
    for each in result.probes:
        if each.left_out:
            print(f"{each.store}: {each.left_out} clips have no vector and are left out", file=sys.stderr)
