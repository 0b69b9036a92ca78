"""The package is light until it is used."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from noisewise.audio.waveform import save
from noisewise.errors import install_line

HEAVY = ("torch", "numpy", "typer", "rich", "pydantic", "lhotse", "transformers", "soundfile")


def loaded_after(statement: str) -> set[str]:
    """Heavy modules that a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_takes_in_nothing_heavy() -> None:
    assert loaded_after("import noisewise; noisewise.__version__") == set()


def test_the_check_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_after("import numpy")


def test_help_takes_in_nothing_heavy() -> None:
    assert loaded_after("from noisewise.cli.main import main; main(['--help'])") == set()


def test_help_takes_in_the_table_of_verbs_alone() -> None:
    """On this depends that it answers at once (benchmarks/help.py measures how soon)."""
    code = "import sys\nfrom noisewise.cli.main import main\nmain(['--help'])\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = {name for name in done.stdout.splitlines()[-1].split() if name.startswith("noisewise")}
    assert own == {"noisewise", "noisewise.cli", "noisewise.cli.main"}


def test_public_names_come_from_their_homes() -> None:
    import noisewise

    assert {"load", "Recogniser", "Transcript", "load_audio"} <= set(dir(noisewise))
    for name in noisewise.__all__:
        assert getattr(noisewise, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'recognizer'"):  # codespell:ignore recognizer
        _ = noisewise.recognizer  # codespell:ignore recognizer


EXTRAS = ("lhotse", "lightning_fabric", "fsspec", "tokenizers", "threadpoolctl", "urllib3", "transformers", "sklearn")
"""Modules that measuring does without: a plain installation has none of them."""


def plainly(*words: str, missing: tuple[str, ...] = EXTRAS) -> subprocess.CompletedProcess[str]:
    """Run the command where the modules of the extras are not to be had."""
    code = (
        f"import sys\nfor name in {missing}: sys.modules[name] = None\n"
        f"from noisewise.cli.main import main\nsys.exit(main({list(words)}))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """`speech/` and `noise/` as tables, and a recogniser that always says the same."""
    random = np.random.default_rng(0)
    for name, lengths in {"speech": (4800, 6400), "noise": (9600,)}.items():
        lines = ["path\ttext\tlabel\tspeaker"]
        for index, length in enumerate(lengths):
            path = tmp_path / name / f"{index}.wav"
            path.parent.mkdir(exist_ok=True)
            save(path, random.normal(0, 0.05, length).astype(np.float32))
            lines.append(f"{index}.wav\t{'YES' if index else 'NO'}\tcar\ts{index}")
        (tmp_path / name / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_plain_installation_measures(tables: Path, an4_dir: Path) -> None:
    speech, noise, grid = str(tables / "speech"), str(tables / "noise"), str(tables / "grid.json")
    model = ["--model", str(an4_dir)]
    done = plainly("evaluate", speech, *model, "--noise", noise, "--snr", "0", "10", "--output", grid)
    assert done.returncode == 0, done.stderr
    assert len(json.loads((tables / "grid.json").read_text())["cells"]) == 2
    for words in (
        ["compare", grid, grid, "--names", "a,b"],
        ["check", speech, "--ignore", "too_short_for_ctc"],
        ["mix", speech, noise, str(tables / "noisy"), "--snr", "5"],
        ["mix", "--verify", str(tables / "noisy/ledger.jsonl")],
        ["prepare", "table", speech, str(tables / "prepared")],
        ["evaluate", str(tables / "prepared/cuts.jsonl.gz"), *model, "--output", str(tables / "clean.json")],
    ):
        done = plainly(*words)
        assert done.returncode == 0, (words, done.stderr)


def test_a_plain_installation_with_figures_writes_cards(tables: Path, an4_dir: Path) -> None:
    pytest.importorskip("matplotlib")
    speech, noise = str(tables / "speech"), str(tables / "noise")
    grid, degraded = str(tables / "grid.json"), str(tables / "degraded.json")
    model = ["--model", str(an4_dir)]
    for words in (
        ["evaluate", speech, *model, "--noise", noise, "--snr", "0", "10", "--output", grid],
        ["evaluate", speech, *model, "--degrade", "gain=-6,-12", "--output", degraded],
        ["card", str(an4_dir), "--grid", grid, "--degradations", degraded, "--output", str(tables / "card.md")],
    ):
        done = plainly(*words)
        assert done.returncode == 0, (words, done.stderr)


def test_what_is_missing_is_named_with_its_extra(tables: Path) -> None:
    done = plainly("check", f"shar:{tables}/speech")
    assert done.returncode == 2 and f"needs fsspec; install it with: {install_line('train')}" in done.stderr
