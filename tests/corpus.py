"""A fabricated corpus: tones that spell words, and noises of two types."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from noisewise.config import load
from noisewise.recipe import Recipe
from noisewise.run import train

WORDS = ["NO", "GO", "YES", "STOP ONE", "TWO", "ERASE A B", "ENTER SIX", "HELP"]
TINY = Path(__file__).parent.parent / "recipes" / "tiny"


def tones(text: str, seed: int) -> np.ndarray:
    """Each letter is 80 ms of its own pitch."""
    rng = np.random.default_rng(seed)
    time = np.arange(1280) / 16_000
    parts = [np.sin(2 * np.pi * (200 + 60 * (ord(letter) - 64)) * time) for letter in text]
    return (0.3 * np.concatenate(parts) + 0.003 * rng.standard_normal(1280 * len(text))).astype(np.float32)


def write_corpus(folder: Path) -> None:
    """`corpus/` (8 utterances) and `noise/` (4 files of 2 types) under a folder."""
    rows = ["path\ttext\tspeaker"]
    for index, text in enumerate(WORDS):
        _write(folder / "corpus" / f"u{index}.wav", tones(text + "  " * 3, index))
        rows.append(f"u{index}.wav\t{text}\ts{index % 2}")
    (folder / "corpus" / "manifest.tsv").write_text("\n".join(rows) + "\n")
    rows = ["path\tlabel"]
    for index, kind in enumerate(["traffic", "babble"] * 2):
        noise = np.random.default_rng(100 + index).standard_normal(16_000).astype(np.float32) * 0.1
        _write(folder / "noise" / f"n{index}.wav", noise)
        rows.append(f"n{index}.wav\t{kind}")
    (folder / "noise" / "manifest.tsv").write_text("\n".join(rows) + "\n")


def write_recipe(folder: Path, name: str = "ctc") -> Path:
    """A recipe of recipes/tiny with the corpus of `write_corpus` in the place of its relative paths."""
    values = yaml.safe_load((TINY / f"{name}.yaml").read_text())
    for part in (values["train"], values["validation"]):
        part["manifests"] = [str(folder / "corpus")]
        if "noise" in part:
            part["noise"]["manifest"] = str(folder / "noise")
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def write_encoder(folder: Path) -> None:
    """A small HuBERT of transformers with random weights."""
    transformers = pytest.importorskip("transformers")
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    model = transformers.HubertModel(transformers.HubertConfig(**shape, **positions, conv_dim=[32] * 7))
    model.save_pretrained(folder)


def write_whisper(folder: Path) -> None:
    """A small Whisper of transformers with random weights, and its tokenizer."""
    pytest.importorskip("transformers")
    from tests.models.whisper import small, tokens

    small.theirs().save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(tokens.values()))


def run_tiny(name: str, overrides: Sequence[str] = (), run: str | None = None) -> Path:
    """Train a recipe of recipes/tiny in `runs/RUN` of the working folder, which holds the corpus of `write_corpus`.

    `run` is the recipe's name if left out. What it starts from, another recipe's `runs/OTHER/best`, is trained first
    unless it is there.
    """
    path = write_recipe(Path.cwd(), name)
    workers = [] if "kind: text" in path.read_text() else ["train.workers=0"]
    recipe = load(Recipe, path, [*workers, *overrides])
    source = getattr(getattr(recipe.model, "encoder", None), "source", "")
    if source and not Path(source).exists():
        is_whisper = getattr(recipe.model, "encoder").kind == "whisper"  # noqa: B009
        (write_whisper if is_whisper else write_encoder)(Path(source))
    for before in (recipe.start_from, getattr(recipe.task, "teacher", None)):
        if before and not Path(before).exists():
            run_tiny(Path(before).parts[1])
    folder = Path("runs") / (run or name)
    train(recipe, folder)
    return folder


def _write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000)
