"""A store gives back what was written, whole or not at all, and says what is not there."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from noisewise.data.checks.quarantine import read_quarantine
from noisewise.data.embeddings.store import INDEX, QUARANTINE, EmbeddingFacts, EmbeddingStore, Unread
from noisewise.data.embeddings.writer import EmbeddingWriter
from noisewise.errors import DataError

FACTS = EmbeddingFacts(encoder="box", dim=3, sample_rate=16_000)


FRAMES = EmbeddingFacts(encoder="box", dim=3, sample_rate=16_000, level="frames", pooling="none")


def vectors(*names: str, rows: int | None = None) -> list[tuple[str, Tensor]]:
    """A vector (3,) for each name, or `rows` of them and one more for each following name."""
    torch.manual_seed(sum(map(ord, "".join(names))))
    shapes = [(3,) if rows is None else (rows + turn, 3) for turn in range(len(names))]
    return [(name, torch.randn(shape)) for name, shape in zip(names, shapes, strict=True)]


def test_every_clip_has_its_own_vector_across_shards(tmp_path: Path) -> None:
    first, second = vectors("a/1", "a/2", "b"), vectors("c", "d")
    writer = EmbeddingWriter(tmp_path / "store", FACTS)
    writer.add(first)
    writer.add(second)
    store = EmbeddingStore(tmp_path / "store")
    assert list(store) == ["a/1", "a/2", "b", "c", "d"] and len(store) == 5 and store.dim == 3
    assert store.encoder == "box"
    for name, vector in first + second:
        torch.testing.assert_close(store[name], vector, rtol=0, atol=0)
        assert name in store and store[name].dtype == torch.float32
    gathered, lengths = store.gather(["d", "a/2"])
    assert torch.equal(gathered, torch.stack([second[1][1], first[1][1]])) and lengths is None


def test_frames_keep_their_numbers(tmp_path: Path) -> None:
    writer = EmbeddingWriter(tmp_path, FRAMES)
    clips = vectors("a", "b", "c", rows=2)
    writer.add(clips)
    store = EmbeddingStore(tmp_path)
    for name, frames in clips:
        assert torch.equal(store[name], frames)
    gathered, lengths = store.gather(["c", "a"])
    assert lengths is not None and lengths.tolist() == [4, 2] and gathered.shape == (2, 4, 3)
    assert torch.equal(gathered[1, :2], clips[0][1]) and not gathered[1, 2:].any()


def test_halves_are_read_as_float32(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, EmbeddingFacts(encoder="box", dim=3, sample_rate=16_000, half=True)).add(vectors("a"))
    found = EmbeddingStore(tmp_path)["a"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, vectors("a")[0][1], rtol=1e-3, atol=1e-3)
    assert not torch.equal(found, vectors("a")[0][1])


def test_a_returned_vector_is_the_callers(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a"))
    store = EmbeddingStore(tmp_path)
    store["a"].zero_()
    assert store["a"].any()


def test_a_missing_clip_is_said_with_what_to_do(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a"), [Unread("broken", "x/broken.wav", "truncated", "it ends")])
    store = EmbeddingStore(tmp_path)
    with pytest.raises(DataError, match=r"`z` must have an embedding in .* but has none; run `noisewise embed`"):
        store["z"]
    with pytest.raises(DataError, match=r"`broken` must have .* could not be read \(truncated\); leave it out"):
        store["broken"]
    assert store.missing(["a", "z", "broken"]) == ["z", "broken"] and "z" not in store
    assert read_quarantine(tmp_path / QUARANTINE) == {"broken"}


def test_copies_by_repeat_have_the_vector_of_their_original(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a", "b"))
    store = EmbeddingStore(tmp_path)
    assert torch.equal(store["b~2"], store["b"]) and "b~2" in store and "b~x" not in store


def test_a_shard_that_is_not_in_the_index_does_not_count(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a"))
    index = (tmp_path / INDEX).read_text()
    EmbeddingWriter(tmp_path, FACTS).add(vectors("b"))
    (tmp_path / INDEX).write_text(index)  # killed between the shard and the index
    assert list(EmbeddingStore(tmp_path)) == ["a"]
    EmbeddingWriter(tmp_path, FACTS).add(vectors("c"))
    assert list(EmbeddingStore(tmp_path)) == ["a", "c"]


def test_damage_is_found_when_a_store_is_opened(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a", "b"))
    shard = tmp_path / "shard-000000.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-4])
    with pytest.raises(DataError, match="must be a whole shard"):
        EmbeddingStore(tmp_path)
    shard.write_bytes(whole.replace(b'\\"a\\", ', b"       "))
    with pytest.raises(DataError):
        EmbeddingStore(tmp_path)
    shard.unlink()
    with pytest.raises(DataError, match="must be a whole shard"):
        EmbeddingStore(tmp_path)
    with pytest.raises(DataError, match="must be a folder that `noisewise embed` wrote"):
        EmbeddingStore(tmp_path / "nowhere")
    values = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps(values | {"format": "else"}))
    with pytest.raises(DataError, match="must be the index of a store"):
        EmbeddingStore(tmp_path)


def test_a_store_goes_to_worker_processes(tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a"))
    store = EmbeddingStore(tmp_path)
    expected = store["a"]
    assert torch.equal(pickle.loads(pickle.dumps(store))["a"], expected)


@pytest.mark.parametrize(
    "clips",
    [
        {"ids": [{}], "heard": {}, "unread": []},
        {"ids": 3, "heard": {}, "unread": []},
        {"ids": ["a"], "heard": {"a": [1, [], {}, 0]}, "unread": []},
        {"ids": ["a"], "heard": {}, "unread": [{"id": []}]},
    ],
)
def test_clips_of_other_types_are_refused(clips: object, tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS).add(vectors("a"))
    save_file({"features": torch.zeros(1, 3)}, tmp_path / "shard-000000.safetensors", {"clips": json.dumps(clips)})
    with pytest.raises(DataError, match="must name the clips"):
        EmbeddingStore(tmp_path)


@pytest.mark.parametrize("lengths", [[-1], [[2]], [0.5], None])
def test_lengths_of_other_kinds_are_refused(lengths: list[Any] | None, tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FRAMES).add(vectors("a", rows=2))
    shard = tmp_path / "shard-000000.safetensors"
    with safe_open(shard, "pt") as file:
        about = file.metadata()
    tensors = {} if lengths is None else {"lengths": torch.tensor(lengths)}
    save_file({"features": torch.zeros(2, 3), **tensors}, shard, about)
    with pytest.raises(DataError):
        EmbeddingStore(tmp_path)


@pytest.mark.parametrize("shards", [3, [1], [[]], {"a": 1}])
def test_names_of_shards_are_text(shards: object, tmp_path: Path) -> None:
    EmbeddingWriter(tmp_path, FACTS)
    values = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps({**values, "shards": shards}))
    with pytest.raises(DataError, match="index of a store"):
        EmbeddingStore(tmp_path)
