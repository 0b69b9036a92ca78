"""The blocks of the tutorials run from top to bottom, as a reader runs them."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from noisewise.cli.main import main

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    file: str
    """The file that the block is to be saved as; empty where it is run."""
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for found in FENCE.finditer(page):
        yield Block(found[1], found[2] or "", found[3])


def commands(text: str) -> list[str]:
    """The lines of a shell block, continued ones joined, without comments."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def run(block: Block, names: dict[str, object], page: str) -> None:
    """Save a block, or run it in the working folder."""
    if block.file:
        Path(block.file).write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        exec(compile(block.text, f"{page} (block)", "exec"), names)
    elif block.language == "bash":
        for line in commands(block.text):
            verb, *words = shlex.split(line, comments=True)
            assert verb == "noisewise", f"{page}: only noisewise is run, but the line is: {line}"
            assert main(words) == 0, f"{page}: {line}"


def follow(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run all blocks of a tutorial in a folder of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)  # a reader has the machine, a test a core of it
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    names: dict[str, object] = {"__name__": "tutorial"}
    for block in blocks((TUTORIALS / page).read_text(encoding="utf-8")):
        run(block, names, page)


def test_blocks_are_found() -> None:
    page = '```python\na = 1\n```\ntext\n```yaml title="x.yaml"\nb: 2\n```\n'
    assert list(blocks(page)) == [Block("python", "", "a = 1\n"), Block("yaml", "x.yaml", "b: 2\n")]
    assert commands("noisewise a \\\n    b\n# no\n\nnoisewise c\n") == ["noisewise a      b", "noisewise c"]


def test_a_command_that_fails_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="no such"):
        run(Block("bash", "", "noisewise transcribe 'no such file.wav'\n"), {}, "a page")


def test_every_tutorial_is_followed() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.name}"' in here for path in TUTORIALS.glob("*.md"))


def test_transcribe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    follow("transcribe.md", tmp_path, monkeypatch)
    assert "ENTER SIX TWO FOUR" in capsys.readouterr().out
    assert len(list((tmp_path / "subtitles").glob("*.srt"))) == 2


def test_own_recogniser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lhotse")
    follow("own_recogniser.md", tmp_path, monkeypatch)
    assert "subtraction" in capsys.readouterr().out
    assert (tmp_path / "program.json").is_file()


def test_own_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lhotse")
    follow("own_corpus.md", tmp_path, monkeypatch)
    assert (tmp_path / "mine.json").is_file()


def test_public_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lhotse")
    pytest.importorskip("transformers")
    follow("public_checkpoint.md", tmp_path, monkeypatch)
    assert (tmp_path / "robust_transformers" / "model.safetensors").is_file()


@pytest.mark.slow
def test_the_tones_are_spelled_after_400_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tutorial promises of its corpus, as long as it says."""
    from noisewise.evaluation.result import GridResult

    pytest.importorskip("lhotse")
    follow("own_corpus.md", tmp_path, monkeypatch)
    assert main(["train", "my_recipe.yaml", "run.steps=400", "--output", "runs/long"]) == 0
    words = ["evaluate", "manifests/cuts_test.jsonl.gz", "--model", "runs/long/best", "--output", "long.json"]
    assert main(words) == 0
    assert GridResult.load(tmp_path / "long.json").clean.wer < 0.3
