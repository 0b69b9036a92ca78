"""Pages and README: links lead somewhere, named files and functions exist, and what the README shows runs."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import noisewise
from noisewise.cli.main import VERBS, main
from tests import test_architecture as architecture
from tests.docs.test_tutorials import blocks, commands

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "noisewise"
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w./]+\.(?:py|md|yaml|json|png)$")
TOPS = ("src/", "docs/", "tests/", "scripts/", "benchmarks/", "recipes/", "results/")
ROOMS = tuple(sorted(f"{path.name}/" for path in SOURCE.iterdir() if path.is_dir()))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@cache
def defined(path: Path) -> frozenset[str]:
    """Names that a source file defines or imports: functions, classes, their members, and variables."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name) | ast.alias(name=name):
                names.add(name)
            case ast.Attribute(attr=name):
                names.add(name)
    return frozenset(names)


def source_of(name: str) -> Path | None:
    """The file that `models/ctc.py` or `tests/conftest.py` means; None where there is none."""
    return next((path for path in (ROOT / name, SOURCE / name) if path.exists()), None)


def exists(dotted: str) -> bool:
    """Whether `noisewise.models.ctc.CTC` is a module, or a name (or a member of one) that its module defines."""
    parts = dotted.split(".")[1:]
    for end in range(len(parts), -1, -1):
        module = SOURCE.joinpath(*parts[:end])
        path = module.with_suffix(".py") if end and module.with_suffix(".py").is_file() else module / "__init__.py"
        if path.is_file():
            left = parts[end:]
            return len(left) <= 2 and all(name in defined(path) or name in noisewise.__all__ for name in left)
    return False


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{name_of(page)} links to {target}"
        assert not anchor or anchor in anchors(path), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_and_functions_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for quoted in QUOTED.findall(text):
        file, _, names = quoted.partition(": ")
        first = quoted.split(" ")[0]
        if FILE.fullmatch(file) and file.startswith((*TOPS, *ROOMS)) and "<" not in file and "_test_" not in file:
            path = source_of(file)
            if path is None and file.endswith(".json") and "NAME" in file:
                continue
            assert path is not None, f"{name_of(page)} names {file}"
            if names and file.endswith(".py"):
                for name in re.findall(r"[A-Za-z_]\w*", names):
                    assert name in defined(path), f"{name_of(page)} names {name} of {file}"
        elif re.fullmatch(r"noisewise(\.\w+)+", first):
            assert exists(first), f"{name_of(page)} names {first}"
    for module, imported in re.findall(r"^from (noisewise[\w.]*) import ([\w, ]+)$", text, re.MULTILINE):
        for name in imported.split(", "):
            assert exists(f"{module}.{name}"), f"{name_of(page)} imports {name} from {module}"


def test_what_does_not_exist_is_seen() -> None:
    assert exists("noisewise.models.ctc.CTC") and exists("noisewise.load") and exists("noisewise.audio")
    assert not exists("noisewise.models.ctc.CTD") and not exists("noisewise.nowhere.CTC")
    assert source_of("models/ctc.py") is not None and source_of("models/nowhere.py") is None
    assert "CTC" in defined(SOURCE / "models" / "ctc.py")


@pytest.mark.parametrize("page", [page for page in PAGES if DOCS / "notes" not in page.parents], ids=name_of)
def test_no_page_is_long(page: Path) -> None:
    limit = 150 if page.name == "README.md" else 210
    assert len(page.read_text(encoding="utf-8").splitlines()) <= limit


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(f": {page.relative_to(DOCS).as_posix()}\n" in navigation for page in DOCS.rglob("*.md"))


def test_the_table_of_imports_is_that_of_the_test() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for room, known in architecture.KNOWS.items():
        names = ", ".join(f"`{name}`" for name in sorted(known)) or "none"
        assert f"| `{room}` | {names} |" in page


def test_the_readme_lists_every_verb() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE) == list(VERBS)


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its commands and its Python on the bundled recordings; of a training only the recipe is read."""
    pytest.importorskip("lhotse")
    monkeypatch.chdir(tmp_path)
    assets = SOURCE / "assets" / "recordings"
    _tiny_set(tmp_path, assets)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    stand_ins = {"MANIFEST": "set", "NOISES": "noise", "MY_FOLDER": "set", "MANIFESTS": "manifests"}
    for block in blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        if block.language == "python":
            exec(compile(block.text, "README.md", "exec"), {})
        for line in commands(block.text) if block.language == "bash" else []:
            words = line.replace('"command:PROGRAM {}"', "command:echo").split()
            words = [stand_ins.get(word, word) for word in words]
            words += ["--limit", "1"] if words[1] == "evaluate" else []
            words += ["--show"] if words[1] == "train" else []
            assert main(words[1:]) == 0, line
    assert "ENTER SIX TWO FOUR" in capsys.readouterr().out


def _tiny_set(folder: Path, assets: Path) -> None:
    """`call.wav`, `meeting.flac`, and two manifests: one utterance, one noise."""
    import numpy as np
    import soundfile

    samples, rate = soundfile.read(assets / "enter_six_two_four.flac", dtype="float32")
    (folder / "set").mkdir()
    (folder / "noise").mkdir()
    for path in (folder / "call.wav", folder / "meeting.flac", folder / "set" / "a.wav"):
        soundfile.write(path, samples, rate)
    (folder / "set" / "manifest.tsv").write_text("path\ttext\na.wav\tENTER SIX TWO FOUR\n")
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * 0.1
    soundfile.write(folder / "noise" / "n.wav", noise, 16_000)
    (folder / "noise" / "manifest.tsv").write_text("path\tlabel\nn.wav\tcafe\n")
