"""Shards are appended whole or not at all, to a store of the same facts."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.data.embeddings.store import QUARANTINE, EmbeddingFacts, EmbeddingStore, Unread
from noisewise.data.embeddings.writer import EmbeddingWriter
from noisewise.errors import DataError
from noisewise.files import replaced
from tests.test_files import limited_files

FACTS = EmbeddingFacts(encoder="box", dim=3, sample_rate=16_000)


def vectors(*names: str, rows: int | None = None) -> list[tuple[str, Tensor]]:
    """A vector (3,) for each name, or `rows` of them and one more for each following name."""
    torch.manual_seed(sum(map(ord, "".join(names))))
    shapes = [(3,) if rows is None else (rows + turn, 3) for turn in range(len(names))]
    return [(name, torch.randn(shape)) for name, shape in zip(names, shapes, strict=True)]


def test_a_store_goes_on_and_forgets_a_failure_that_was_mended(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a"), [Unread("b", "b.wav", "truncated", "it ends")])
    writer = EmbeddingWriter(tmp_path, FACTS)
    writer.add(vectors("b"))
    store = EmbeddingStore(tmp_path)
    assert list(store) == ["a", "b"] and not store.unread and not (tmp_path / QUARANTINE).exists()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = EmbeddingWriter(tmp_path, FACTS)
    writer.add(vectors("a"))

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        writer.add(vectors("b"))
    assert list(EmbeddingStore(tmp_path)) == ["a"]
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a"))
    process = os.fork()
    if process == 0:
        with replaced(tmp_path / "index.json"), replaced(tmp_path / "shard-000001.safetensors"):
            os._exit(9)
    os.waitpid(process, 0)
    assert len(list(tmp_path.glob(".*.partial"))) == 2
    EmbeddingWriter(tmp_path, FACTS)
    assert not list(tmp_path.glob(".*.partial"))


def test_a_full_disk_is_the_systems_error_and_the_store_goes_on(tmp_path: Path) -> None:
    writer = EmbeddingWriter(tmp_path, FACTS)
    many = [f"clip{index}" for index in range(400)]
    with limited_files(3_000), pytest.raises(OSError, match="File too large") as caught:
        writer.add(vectors(*many))
    assert str(caught.value.filename).endswith("shard-000000.safetensors")
    assert not list(tmp_path.glob(".*")) and not list(EmbeddingStore(tmp_path))
    EmbeddingWriter(tmp_path, FACTS).add(vectors(*many))
    assert list(EmbeddingStore(tmp_path)) == many


def test_other_facts_are_refused(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS)
    details = EmbeddingFacts(encoder="box", dim=3, sample_rate=16_000, details={"torch": "9"})
    assert len(EmbeddingWriter(tmp_path, details).store) == 0  # versions alone are no other store
    with pytest.raises(DataError, match="its pooling is 'mean' and not 'cls'; choose another folder"):
        EmbeddingWriter(tmp_path, EmbeddingFacts(encoder="box", dim=3, sample_rate=16_000, pooling="cls"))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    writer = EmbeddingWriter(tmp_path, FACTS)
    writer.add(vectors("a"))
    with pytest.raises(DataError, match="`a` must be embedded once"):
        writer.add(vectors("a"))
    with pytest.raises(DataError, match="`b` must be embedded once"):
        writer.add([*vectors("b"), *vectors("b")])
    with pytest.raises(DataError, match=r"vectors of shape \(3,\), but has \(4,\)"):
        writer.add([("w", torch.zeros(4))])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="must be empty or hold embeddings"):
        EmbeddingWriter(tmp_path / "other", FACTS)
