"""`noisewise inspect RUN`: what a Wav2code does inside, as numbers and figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisewise.reports.inspection import Inspection, Inspector

LISTS = ("--snr",)
SNRS_DB = [0.0, 5.0, 10.0, 15.0, 20.0]
FILES = ("inspection.json", "accuracy.png", "distances.png", "codes.png", "restoration.png")


def command(
    run: Annotated[Path, typer.Argument(help="The run of stage 3, or its model folder.")],
    teacher: Annotated[Path | None, typer.Option(help="Folder of stage 2.", show_default="that of its recipe")] = None,
    manifest: Annotated[
        list[str] | None, typer.Option(help="Speech without noise.", show_default="validation of its recipe")
    ] = None,
    noise: Annotated[
        str | None, typer.Option(help="Noise with a label column.", show_default="validation of its recipe")
    ] = None,
    types: Annotated[str | None, typer.Option(help="Noise types, with commas between.", show_default="all")] = None,
    snr: Annotated[
        list[float] | None, typer.Option(help="Signal-to-noise ratios in dB: 0 5 10.", show_default="0 5 10 15 20")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="Another run with the same codes, for its accuracy; several times.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Take this many utterances, evenly spaced.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the noise and of the t-SNE.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; default RUN/inspection.")] = None,
) -> None:
    """Write code accuracy by SNR, frames around the codebook, and restored beside clean representations."""
    from importlib import import_module

    from noisewise.data.noise.pool import NoisePool
    from noisewise.evaluation import provenance
    from noisewise.reports import inspection

    import_module("noisewise.reports.figures.inspection")  # a missing extra is found now, not after the work
    import_module("sklearn")
    recipe = _recipe(inspection.best(run))
    place = teacher or _known(recipe, "--teacher", "task", "teacher")
    speech = manifest or _known(recipe, "--manifest", "validation", "manifests")
    pool = NoisePool.load(_noise(noise, types, recipe), seed)
    subjects = [inspection.load(folder) for folder in [run, *(also or [])]]
    inspector = inspection.Inspector(subjects, inspection.load_teacher(place, subjects), pool)
    found = inspector.look(inspection.speech(speech, limit), SNRS_DB if snr is None else snr)
    told = {"run": run, "teacher": place, "manifest": " ".join(speech), "noise": pool.config.manifest}
    found.about = {name: provenance.portable(str(value)) for name, value in told.items()}
    found.about |= {"seed": seed, "versions": provenance.versions()}
    folder = output or run / "inspection"
    folder.mkdir(parents=True, exist_ok=True)
    _write(found, inspector, folder, seed)
    _print(found)
    print("\n".join(str(folder / name) for name in FILES))


def _recipe(folder: Path) -> dict[str, Any]:
    """The recipe that the model was trained by, empty if its folder does not tell."""
    import json

    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return dict(values.get("recipe") or {})


def _known(recipe: dict[str, Any], option: str, part: str, name: str) -> Any:
    from noisewise.errors import NoisewiseError

    value = (recipe.get(part) or {}).get(name)
    if not value:
        raise NoisewiseError(f"{option} must be given, for the model's config.json does not name `{part}.{name}`")
    return value


def _noise(noise: str | None, types: str | None, recipe: dict[str, Any]) -> Any:
    """The noise of the options, or else of the recipe's validation."""
    from dataclasses import replace

    from noisewise.config import parse
    from noisewise.data.noise.pool import NoiseConfig

    values = {"manifest": noise} if noise else dict(_known(recipe, "--noise", "validation", "noise"))
    chosen = parse(NoiseConfig, values)
    return replace(chosen, types=[kind.strip() for kind in types.split(",")]) if types else chosen


def _write(found: "Inspection", inspector: "Inspector", folder: Path, seed: int) -> None:
    from noisewise.reports import inspection
    from noisewise.reports.figures import inspection as figures

    found.save(folder / "inspection.json")
    figures.plot_accuracy(found, folder / "accuracy.png")
    figures.plot_distances(found, folder / "distances.png")
    figures.plot_codes(inspection.scene(inspector.parallel, inspector.codebook.entries, seed), folder / "codes.png")
    figures.plot_restoration(inspector.parallel[0], folder / "restoration.png")


def _print(found: "Inspection") -> None:
    """Both tables, a row for each line of the figures."""
    width = max(map(len, [*found.accuracy, *found.distances]))
    for title, lines, scale in (
        ("frames with the clean code (%)", found.accuracy, 100),
        ("mean squared distance from the clean representation", found.distances, 1),
    ):
        print(f"{title}\n{'':<{width}}" + "".join(f"{condition:>8}" for condition in found.conditions))
        for name, values in lines.items():
            shown = (f"{scale * values[condition]:>8.{1 if scale > 1 else 3}f}" for condition in found.conditions)
            print(f"{name:<{width}}" + "".join(shown))
        print()
