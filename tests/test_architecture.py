"""Who may know whom: reads every import of the package and fails on an upward one."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import noisewise

SOURCE = Path(noisewise.__file__).parent
TESTS = Path(__file__).parent

KNOWS = {
    "config": set[str](),
    "layers": set[str](),
    "audio": {"config"},
    "text": {"config"},
    "batch": {"config"},
    "models": {"layers", "audio", "hub", "config"},
    "whole_file": set[str](),
    "whole_folder": set[str](),
    "interop": {"models", "text", "whole_folder", "config"},
    "hub": {"config"},
    "model_folder": {"interop", "hub", "models", "text", "whole_folder", "config"},
    "convert": {"interop", "model_folder", "models", "text", "config"},
    "data": {"audio", "text", "batch", "whole_file", "config"},
    "embedding": {"external", "data", "config"},
    "external": {"interop", "model_folder", "models", "hub", "audio", "config"},
    "decoding": {"text", "config"},
    "scoring": {"text", "config"},
    "tasks": {
        "models",
        "layers",
        "model_folder",
        "external",
        "batch",
        "decoding",
        "scoring",
        "text",
        "config",
        "training",
    },
    "training": {"batch", "whole_file", "config"},
    "costs": {"layers", "models", "config"},
    "handover": {"model_folder", "models", "config"},
    "recipe": {
        "data",
        "handover",
        "interop",
        "models",
        "tasks",
        "training",
        "model_folder",
        "audio",
        "text",
        "batch",
        "config",
        "whole_file",
    },
    "transcript": {"decoding", "tags", "config"},
    "listening": {"audio", "config"},
    "tags": {"config"},
    "tagger": {"model_folder", "listening", "audio", "tags", "config"},
    "language_model": {"models", "model_folder", "decoding", "text", "config"},
    "recogniser": {
        "models",
        "model_folder",
        "language_model",
        "listening",
        "audio",
        "text",
        "decoding",
        "transcript",
        "config",
    },
    "reproduce": {"recipe", "evaluation", "scoring", "training", "model_folder", "models", "whole_file", "config"},
    "evaluation": {
        "recogniser",
        "tagger",
        "tags",
        "language_model",
        "model_folder",
        "models",
        "transcript",
        "audio",
        "text",
        "decoding",
        "scoring",
        "data",
        "whole_file",
        "config",
    },
}
"""Layer to the layers it may import, besides itself; `cli` may import all of them inside its commands."""

ADDRESSES = {
    "lhotse": {"data"},
    "pydantic": {"config"},
    "lightning": {"training"},
    "lightning_fabric": {"training"},
    "tensorboard": {"training"},
    "matplotlib": {"evaluation/figure.py"},
    "sklearn": {"evaluation/inspection.py"},
    "jiwer": {"scoring"},
    "typer": {"cli"},
    "rich": {"cli"},
    "soundfile": {"audio"},
    "soxr": {"audio"},
    "fsspec": {"data"},
    "threadpoolctl": {"data"},
    "tokenizers": {"text"},
    "av": {"audio"},
    "safetensors": {"data", "model_folder.py", "interop", "training"},
    "transformers": {
        "evaluation/huggingface.py",
        "external/huggingface.py",
        "interop/parity.py",
        "models/pretrained.py",
    },
    "huggingface_hub": {"hub.py"},
    "flashlight": {"decoding/lm.py"},
    "kenlm": {"decoding/lm.py"},
    "torchaudio": set[str](),
    "kaldi_native_fbank": set[str](),
    "pocketsphinx": set[str](),
}
"""Third party to the folders or files that may import it; none for what only tests and benchmarks use."""

FILES = sorted(SOURCE.rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a piece of source imports, but for those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports must be absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        else:
            yield from imports(node)


def layer(path: Path) -> str:
    """First folder, or the name of a file at the top."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def ours(name: str) -> str | None:
    """The layer that a dotted name of ours lies in; None for others and for names of the package itself."""
    parts = name.split(".")
    if parts[0] != "noisewise" or len(parts) == 1:
        return None
    return parts[1] if (SOURCE / parts[1]).is_dir() or (SOURCE / f"{parts[1]}.py").is_file() else None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_upward_import(path: Path) -> None:
    here = layer(path)
    if here in ("cli", "__init__", "__main__"):
        return
    assert here in KNOWS, f"say in KNOWS what the new layer '{here}' may import"
    known = {found for name in imports(ast.parse(path.read_text(encoding="utf-8"))) if (found := ours(name))}
    assert known <= KNOWS[here] | {here}, f"{here} must not know {sorted(known - KNOWS[here] - {here})}"


def test_the_layers_have_no_cycle() -> None:
    left = dict(KNOWS)
    while left:
        lowest = {name for name, known in left.items() if not known & left.keys() - {name}}
        assert lowest, f"a cycle among {sorted(left)}"
        left = {name: known for name, known in left.items() if name not in lowest}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_third_parties_have_one_address(path: Path) -> None:
    relative = path.relative_to(SOURCE).as_posix()
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        homes = ADDRESSES.get(name.split(".")[0])
        assert homes is None or any(
            relative == home or relative.startswith(f"{home}/") or relative == f"{home}.py" for home in homes
        ), f"{relative} imports {name}, whose home is {sorted(homes) or 'tests and benchmarks'}"


@pytest.mark.parametrize("path", sorted((SOURCE / "cli").glob("*.py")), ids=lambda path: path.name)
def test_a_command_imports_what_is_heavy_inside_its_function(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = ast.Module([node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)], [])
    light = {*sys.stdlib_module_names, "typer"}
    for name in imports(top):
        allowed = name.split(".")[0] in light or name.startswith(("noisewise.cli", "noisewise.__version__"))
        assert allowed, f"{path.name} imports {name} at its top"


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_every_test_mirrors_a_source_file(path: Path) -> None:
    relative = path.relative_to(TESTS)
    if relative.name in ("test_architecture.py", "test_import.py") or relative.parts[0] in (
        "golden",
        "recipes",
        "scripts",
        "benchmarks",
    ):
        return
    folder, name = SOURCE / relative.parent, relative.stem.removeprefix("test_")
    mirrored = [
        *folder.rglob(f"{name}.py"),
        *folder.glob(f"{name}/__init__.py"),
    ]  # data/test_an4: data/corpora/an4
    assert mirrored, f"{relative} must mirror a file of the package"


def test_an_upward_import_would_be_seen() -> None:
    source = "def f():\n    if True:\n        from noisewise.cli import main\n    import lhotse.cut"
    assert list(imports(ast.parse(source))) == ["noisewise.cli.main", "lhotse.cut"]
    assert ours("noisewise.cli.main") == "cli"
    assert ours("noisewise.__version__") is None
