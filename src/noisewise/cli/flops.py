"""`noisewise flops MODEL`: parameters and operations, module by module."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisewise.flops import Convention, Cost, ModelCost


def command(
    model: Annotated[
        str, typer.Argument(help="A size (wav2vec2-base, ew2-base, ...), a recipe (YAML), or a model folder.")
    ],
    convention: Annotated[str, typer.Option(help="macs, flops (twice that) or hook (no attention).")] = "macs",
    seconds: Annotated[float, typer.Option(help="Length of the recording.")] = 10.0,
    depth: Annotated[int, typer.Option(help="Levels of modules to show.")] = 2,
    against: Annotated[str | None, typer.Option(help="Another model, to say what this one costs more.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, every module in it.")] = False,
) -> None:
    """Print the parameters of a model, and the operations of one pass over a recording, by module."""
    from json import dumps

    from noisewise import flops as costs
    from noisewise.errors import NoisewiseError

    if convention not in costs.CONVENTIONS:
        raise NoisewiseError(f"--convention must be one of {', '.join(costs.CONVENTIONS)}, but is '{convention}'")
    chosen: Convention = convention  # type: ignore[assignment]
    names = [model] if against is None else [model, against]
    found = [costs.measure(_config(name), seconds) for name in names]
    if json:
        values: dict[str, Any] = {"convention": convention, "meaning": costs.CONVENTIONS[convention]}
        print(dumps(values | {"models": [_values(*pair, chosen) for pair in zip(names, found, strict=True)]}, indent=2))
        return
    print(f"{found[0].samples} samples ({found[0].seconds:g} s), {found[0].frames} frames")
    print(f"{convention}: {costs.CONVENTIONS[convention]}\n")
    _print_table(model, found[0], chosen, depth)
    if against is not None:
        _print_difference(against, found[0].total, found[1].total, chosen, found[0].seconds)


def _config(name: str) -> Any:
    """The configuration of a size, a recipe or a model folder."""
    from noisewise import config
    from noisewise import flops as costs
    from noisewise.checkpoints import model_folder
    from noisewise.errors import NoisewiseError

    if name in costs.SIZES:
        return costs.SIZES[name]
    if name.endswith((".yaml", ".yml")):
        from noisewise.recipe import Recipe

        return config.load(Recipe, Path(name)).model
    if name != "box" and not name.startswith("hf:") and not Path(name).exists():
        raise NoisewiseError(
            f"`MODEL` must be one of {', '.join(costs.SIZES)}, a recipe or a model folder, but is '{name}' instead"
        )
    return model_folder.load_config(name)


def _values(name: str, cost: "ModelCost", convention: "Convention") -> dict[str, Any]:
    def row(module: "Cost") -> dict[str, Any]:
        operations = module.operations(convention)
        per_second = {"operations": operations, "operations_per_second": operations / cost.seconds}
        return {"name": module.name, "parameters": module.parameters, **per_second}

    length = {"samples": cost.samples, "seconds": cost.seconds, "frames": cost.frames}
    return {"model": name, **length, "total": row(cost.total), "modules": [row(module) for module in cost.modules[1:]]}


def _print_table(model: str, cost: "ModelCost", convention: "Convention", depth: int) -> None:
    shown = [module for module in cost.modules if _level(module) <= depth]
    names = [model if not module.name else "  " * _level(module) + module.name for module in shown]
    width = max(map(len, names))
    print(f"{'module':<{width}}  {'parameters':>11}  {'G':>8}  {'G per second':>12}")
    for name, module in zip(names, shown, strict=True):
        giga = module.operations(convention) / 1e9
        print(f"{name:<{width}}  {module.parameters:>11,}  {giga:>8.3f}  {giga / cost.seconds:>12.3f}")
    if any(module.name == "decoder" and not module.macs for module in shown):
        print("\nthe decoder is not counted: what it costs depends on the text")


def _level(module: "Cost") -> int:
    return module.name.count(".") + 1 if module.name else 0


def _print_difference(other: str, first: "Cost", second: "Cost", convention: "Convention", seconds: float) -> None:
    giga = (first.operations(convention) - second.operations(convention)) / 1e9
    parameters = first.parameters - second.parameters
    print(f"\nmore than {other}: {parameters:+,} parameters, {giga:+.3f} G, {giga / seconds:+.3f} G per second")
