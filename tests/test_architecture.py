"""Who may import whom, no circle between files, and tests that mirror the tree: read from the source by its syntax."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import noisewise

SOURCE = Path(noisewise.__file__).parent
TESTS = Path(__file__).parent

KNOWS = {
    "errors": set[str](),
    "config": {"errors"},
    "layers": {"errors"},
    "files": set[str](),
    "safe_text": set[str](),
    "audio": {"layers", "files", "config", "errors"},
    "text": {"files", "config", "errors"},
    "batch": {"config", "errors"},
    "hub": {"config", "errors"},
    "lm": {"text", "files", "config", "errors"},
    "scoring": {"text", "config", "errors"},
    "models": {"layers", "audio", "hub", "files", "config", "errors"},
    "flops": {"layers", "models", "config", "errors"},
    "decoding": {"lm", "text", "files", "config", "errors"},
    "data": {"audio", "text", "batch", "files", "config", "errors"},
    "checkpoints": {"hub", "models", "text", "files", "config", "errors"},
    "embeddings": {"checkpoints", "data", "models", "scoring", "hub", "audio", "files", "config", "errors"},
    "training": {"batch", "files", "config", "errors"},
    "inference": {
        "checkpoints",
        "decoding",
        "lm",
        "models",
        "audio",
        "text",
        "files",
        "safe_text",
        "config",
        "errors",
    },
    "tasks": {
        "embeddings",
        "checkpoints",
        "decoding",
        "models",
        "layers",
        "scoring",
        "text",
        "batch",
        "training",
        "config",
        "errors",
    },
    "evaluation": {
        "inference",
        "checkpoints",
        "decoding",
        "scoring",
        "text",
        "data",
        "audio",
        "safe_text",
        "files",
        "config",
        "errors",
    },
    "serving": {
        "inference",
        "evaluation",
        "checkpoints",
        "decoding",
        "text",
        "audio",
        "safe_text",
        "files",
        "config",
        "errors",
    },
    "labelling": {
        "evaluation",
        "inference",
        "decoding",
        "scoring",
        "data",
        "audio",
        "text",
        "files",
        "config",
        "errors",
    },
    "tuning": {
        "checkpoints",
        "evaluation",
        "inference",
        "decoding",
        "lm",
        "scoring",
        "data",
        "audio",
        "text",
        "files",
        "config",
        "errors",
    },
    "reports": {
        "evaluation",
        "checkpoints",
        "models",
        "scoring",
        "data",
        "audio",
        "safe_text",
        "files",
        "config",
        "errors",
    },
    "recipe": {"data", "models", "tasks", "training", "text", "config", "errors"},
    "run": {
        "recipe",
        "tasks",
        "training",
        "data",
        "checkpoints",
        "models",
        "text",
        "batch",
        "files",
        "config",
        "errors",
    },
    "fine_tune": {"run", "recipe", "data", "checkpoints", "models", "text", "config", "errors"},
    "experiments": {
        "run",
        "recipe",
        "safe_text",
        "reports",
        "evaluation",
        "scoring",
        "training",
        "checkpoints",
        "models",
        "files",
        "config",
        "errors",
    },
}
"""Layer to the layers it may import, besides itself; `cli` may import all of them inside its commands."""

ADDRESSES = {
    "lhotse": {"data/manifests/cuts.py"},
    "pydantic": {"config"},
    "lightning": {"training"},
    "lightning_fabric": {"training"},
    "tensorboard": {"training"},
    "matplotlib": {"reports/figures"},
    "sklearn": {"reports/inspection.py"},
    "jiwer": {"scoring"},
    "typer": {"cli"},
    "rich": {"cli"},
    "soundfile": {"audio"},
    "soxr": {"audio", "serving/live_audio.py"},
    "fsspec": {"data/manifests"},
    "pyarrow": {"data/manifests/records.py"},
    "threadpoolctl": {"data/loading"},
    "tokenizers": {"text"},
    "av": {"audio"},
    "safetensors": {"data", "checkpoints", "training", "models/whisper/weights.py"},
    "transformers": {
        "evaluation/systems/huggingface.py",
        "embeddings/encoders/huggingface.py",
        "checkpoints/foreign/parity.py",
        "models/pretrained.py",
    },
    "huggingface_hub": {"hub.py"},
    "faster_whisper": {"evaluation/systems/whisper.py"},
    "onnx_asr": {"evaluation/systems/onnx.py"},
    "onnxruntime": {"data/voices/piper.py", "evaluation/systems/onnx.py"},
    "piper": {"data/voices/piper.py"},
    "whisper_normalizer": {"text/normalise.py"},
    "flashlight": {"lm/kenlm.py"},
    "kenlm": {"lm/kenlm.py"},
    "starlette": {"serving"},
    "uvicorn": {"serving"},
    "h11": {"serving/server.py"},
    "websockets": set[str](),
    "prometheus_client": {"serving/metrics.py"},
    "torchaudio": set[str](),
    "kaldi_native_fbank": set[str](),
    "pocketsphinx": set[str](),
}
"""Third party to the folders or files that may import it; none for what only tests and benchmarks use."""

WITHOUT_A_MIRROR = {"benchmarks", "scripts", "docs"}
"""Folders of tests that are not of the package."""
OF_THE_WHOLE = {"test_architecture.py", "test_examples.py", "test_import.py", "test_old_formats.py"}
"""Tests that are of the whole package."""
WITHOUT_A_TEST: set[str] = set()
"""Source files that tests of other files cover; keep it short."""

FILES = sorted(SOURCE.rglob("*.py"))


def imports(tree: ast.AST, *, typing: bool = False) -> Iterator[str]:
    """Dotted names that a piece of source imports, inside functions too; `typing` adds those under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports must be absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing:
            continue
        else:
            yield from imports(node, typing=typing)


def layer(path: Path) -> str:
    """First folder, or the name of a file at the top."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def own(name: str) -> str | None:
    """The layer that a dotted name lies in; None for other packages and for names of the package itself."""
    parts = name.split(".")
    if parts[0] != "noisewise" or len(parts) == 1:
        return None
    return parts[1] if (SOURCE / parts[1]).is_dir() or (SOURCE / f"{parts[1]}.py").is_file() else None


def module(path: Path) -> str:
    """Dotted name of a source file."""
    return ".".join(("noisewise", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def importing() -> dict[str, set[str]]:
    """Every file to the files that it imports."""
    names = {module(path) for path in FILES}

    def found(name: str) -> str:
        while name not in names:
            name = name.rpartition(".")[0]
        return name

    graph = {}
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {name for name in imports(tree, typing=True) if name.startswith("noisewise.")}
        graph[module(path)] = {found(name) for name in said} - {module(path), "noisewise"}
    return graph


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_upward_import(path: Path) -> None:
    here = layer(path)
    if here in ("cli", "__init__", "__main__"):
        return
    assert here in KNOWS, f"say in KNOWS what the new layer '{here}' may import"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {found for name in imports(tree, typing=True) if (found := own(name))}
    assert known <= KNOWS[here] | {here}, f"{here} must not know {sorted(known - KNOWS[here] - {here})}"


def acyclic(graph: dict[str, set[str]]) -> set[str]:
    """The nodes that lie on or above a circle; none when there is no circle."""
    left = dict(graph)
    while left:
        lowest = {name for name, known in left.items() if not known & left.keys() - {name}}
        if not lowest:
            break
        left = {name: known for name, known in left.items() if name not in lowest}
    return set(left)


def test_the_layers_have_no_circle() -> None:
    assert not acyclic(KNOWS)


def test_the_files_have_no_circle() -> None:
    assert not acyclic(importing()), "files import each other in a circle"


def test_a_circle_would_be_seen() -> None:
    assert acyclic({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == {"a", "b", "c"}


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
        allowed = name.split(".")[0] in light or name.startswith(
            ("noisewise.cli", "noisewise.__version__", "noisewise.safe_text")
        )
        assert allowed, f"{path.name} imports {name} at its top"


def homes_of_classes(paths: list[Path]) -> dict[str, list[str]]:
    """Public class names of some files to the files that define them at their top."""
    homes: dict[str, list[str]] = {}
    for path in paths:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(path.name)
    return homes


@pytest.mark.parametrize("package", sorted({layer(path) for path in FILES if path.parent != SOURCE}))
def test_no_public_class_name_occurs_twice_in_one_package(package: str) -> None:
    homes = homes_of_classes([path for path in FILES if layer(path) == package])
    assert not {name: files for name, files in homes.items() if len(files) > 1}


def test_a_class_name_that_occurs_twice_would_be_seen(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("class Steps: ...\nclass _Own: ...\n", encoding="utf-8")
    assert homes_of_classes(sorted(tmp_path.iterdir())) == {"Steps": ["a.py", "b.py"]}


def mirror(path: Path) -> Path:
    """The test of a source file."""
    return TESTS / path.relative_to(SOURCE).parent / f"test_{path.name}"


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_every_test_mirrors_a_source_file(path: Path) -> None:
    relative = path.relative_to(TESTS)
    if relative.name in OF_THE_WHOLE or relative.parts[0] in WITHOUT_A_MIRROR:
        return
    folder, name = SOURCE / relative.parent, relative.stem.removeprefix("test_")
    assert (folder / f"{name}.py").is_file() or (folder / name).is_dir(), (
        f"{relative} must mirror a file of the package"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_every_source_file_has_a_test(path: Path) -> None:
    relative = path.relative_to(SOURCE).as_posix()
    if path.name in ("__init__.py", "__main__.py"):
        return
    is_listed = relative in WITHOUT_A_TEST
    assert mirror(path).is_file() != is_listed, f"{relative} must either have a test that mirrors it or be listed"


def test_an_upward_import_would_be_seen() -> None:
    source = "def f():\n    if TYPE_CHECKING:\n        from noisewise.cli import main\n    import lhotse.cut"
    assert set(imports(ast.parse(source), typing=True)) == {"noisewise.cli.main", "lhotse.cut"}
    assert list(imports(ast.parse(source))) == ["lhotse.cut"]
    assert own("noisewise.cli.main") == "cli"
    assert own("noisewise.__version__") is None
