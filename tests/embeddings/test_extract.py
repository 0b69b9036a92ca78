"""Every clip gets its own vector, once, however the work is cut, interrupted or disturbed by broken files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from noisewise.data.checks.quarantine import read_quarantine
from noisewise.data.embeddings.store import EmbeddingStore
from noisewise.data.manifests import read as manifest
from noisewise.data.manifests.cuts import load_audio
from noisewise.embeddings import encoders, extract
from noisewise.embeddings.encoders import PooledEncoder
from noisewise.embeddings.encoders.protocol import Encoding, FrozenEncoder
from noisewise.embeddings.extract import EmbeddingConfig, embed
from noisewise.errors import AudioError, ConfigError, DataError


class Level(FrozenEncoder):
    """Tells a clip by its level and its length, and can be told to fail."""

    name, window, pooling, weights_sha256, details = "level", None, None, "5e", {}

    def __init__(self, sample_rate: int = 16_000) -> None:
        self.sample_rate = sample_rate
        self.encoded: list[int] = []
        self.broken: set[int] = set()
        self.stop_after: int | None = None

    def encode(self, clips: Sequence[Tensor]) -> list[Encoding]:
        self.encoded += [len(clip) for clip in clips]
        if self.stop_after is not None and len(self.encoded) > self.stop_after:
            raise KeyboardInterrupt
        if self.broken & {len(clip) for clip in clips}:
            raise RuntimeError("Kernel size can't be greater than actual input size")
        return [
            Encoding(torch.stack([clip.abs().mean(), torch.tensor(float(len(clip)))]).expand(2, 2)) for clip in clips
        ]


def write(folder: Path, count: int = 7) -> Path:
    """Clips of falling length and rising level; `clip2` is no audio, `clip4` is stereo."""
    rows = ["path\tlabel"]
    for index in range(count):
        path = folder / f"clip{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.full(4000 - 100 * index, 0.1 * (index + 1)) * np.resize([1, -1], 4000 - 100 * index)
        soundfile.write(path, np.stack([samples, 0 * samples], axis=1) if index == 4 else samples, 16_000)
        rows.append(f"clip{index}.wav\tx")
    (folder / "clip2.wav").write_bytes(b"no audio at all")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    return folder


def small(**values: Any) -> EmbeddingConfig:
    return EmbeddingConfig(**{"shard_clips": 3, "batch_seconds": 0.5, **values})


def test_every_clip_has_its_own_vector_and_a_broken_one_has_none(tmp_path: Path) -> None:
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    shown: list[tuple[int, int, int]] = []
    done = embed(cuts, PooledEncoder(Level()), tmp_path / "store", small(), lambda *now: shown.append(now))
    store = EmbeddingStore(tmp_path / "store")
    assert sorted(store) == ["clip0", "clip1", "clip3", "clip4", "clip5", "clip6"] and done.clips == 6
    for index in (0, 1, 3, 4, 5, 6):
        level = 0.1 * (index + 1) / (2 if index == 4 else 1)  # channels are averaged
        torch.testing.assert_close(
            store[f"clip{index}"], torch.tensor([level, 4000.0 - 100 * index]), rtol=1e-3, atol=1e-3
        )
    assert [item.id for item in done.unread] == ["clip2"] and done.unread[0].reason == "not_audio"
    assert read_quarantine(tmp_path / "store" / "quarantine.jsonl") == {"clip2"}
    assert shown[-1] == (7, 7, 1) and [now[0] for now in shown] == sorted(now[0] for now in shown)
    assert store.facts.weights_sha256 == "5e" and store.facts.pooling == "mean" and store.encoder == "level"


def test_every_clip_is_decoded_and_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from noisewise.embeddings import extract as embedding

    decoded: list[str] = []
    load = load_audio
    monkeypatch.setattr(embedding, "load_audio", lambda cut, **more: decoded.append(cut.id) or load(cut, **more))
    level = Level()
    encoder = PooledEncoder(level)
    level.encoded.clear()
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    embed(cuts, encoder, tmp_path / "store", small())
    assert sorted(decoded) == [f"clip{index}" for index in range(7)] and len(level.encoded) == 6
    again = embed(cuts, encoder, tmp_path / "store", small())
    assert len(decoded) == 7 and again.clips == 0 and again.there == 7 and len(again.unread) == 1


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_an_interrupted_store_goes_on_to_the_same_bytes(tmp_path: Path, stop_after: int) -> None:
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    embed(cuts, PooledEncoder(Level()), tmp_path / "whole", small())
    level = Level()
    encoder = PooledEncoder(level)
    level.stop_after = stop_after + len(level.encoded)
    with pytest.raises(KeyboardInterrupt):
        embed(cuts, encoder, tmp_path / "store", small())
    assert len(EmbeddingStore(tmp_path / "store")) < 6
    level.stop_after = None
    embed(cuts, encoder, tmp_path / "store", small())
    assert files(tmp_path / "store") == files(tmp_path / "whole")


@pytest.mark.parametrize("frames", [False, True])
def test_batches_change_nothing(tmp_path: Path, model_dir: Path, frames: bool) -> None:
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    encoder = encoders.load(str(model_dir))
    for name, seconds in (("alone", 0.01), ("together", 60.0)):
        embed(cuts, encoder, tmp_path / name, EmbeddingConfig(batch_seconds=seconds, frames=frames))
    alone, together = EmbeddingStore(tmp_path / "alone"), EmbeddingStore(tmp_path / "together")
    assert list(alone) == list(together) == [cut.id for cut in cuts if cut.id != "clip2"]
    for name in alone:
        assert alone[name].shape == ((len(alone[name]), 64) if frames else (64,))
        torch.testing.assert_close(alone[name], together[name], rtol=1e-4, atol=1e-5)


def test_a_clip_that_the_encoder_cannot_hear_fails_alone(tmp_path: Path) -> None:
    level = Level()
    level.broken = {3500}  # clip5
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    done = embed(cuts, PooledEncoder(level), tmp_path / "store", small())
    assert {item.id: item.reason for item in done.unread} == {"clip2": "not_audio", "clip5": "not_encoded"}
    store = EmbeddingStore(tmp_path / "store")
    assert store["clip6"][1] == 3400 and store["clip4"][1] == 3600 and "clip5" not in store


NO_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried 12 bytes"),
    RuntimeError("can't start new thread"),
]


class Narrow(Level):
    """Memory for so many clips at a time, or for clips so short."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error, self.most, self.longest = error, 100, 20_000

    def encode(self, clips: Sequence[Tensor]) -> list[Encoding]:
        if len(clips) > self.most or max(map(len, clips)) > self.longest:
            raise self.error
        return super().encode(clips)


@pytest.mark.parametrize("error", NO_MEMORY)
def test_a_lack_of_memory_halves_the_batch_and_says_nothing_of_clips(error: Exception, tmp_path: Path) -> None:
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    narrow = Narrow(error)
    encoder = PooledEncoder(narrow)
    narrow.most = 1
    done = embed(cuts, encoder, tmp_path / "store", EmbeddingConfig())
    assert [item.id for item in done.unread] == ["clip2"] and done.clips == 6
    assert EmbeddingStore(tmp_path / "store")["clip6"][1] == 3400


@pytest.mark.parametrize("error", NO_MEMORY)
def test_a_clip_that_does_not_fit_alone_ends_the_call_and_not_the_clip(error: Exception, tmp_path: Path) -> None:
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    narrow = Narrow(error)
    encoder = PooledEncoder(narrow)
    narrow.longest = 3800
    with pytest.raises(DataError, match=r"clip1\.wav` must fit into memory.*window_seconds"):
        embed(cuts, encoder, tmp_path / "store", EmbeddingConfig())
    assert not EmbeddingStore(tmp_path / "store").unread
    narrow.longest = 20_000
    done = embed(cuts, encoder, tmp_path / "store", EmbeddingConfig())
    assert [item.id for item in done.unread] == ["clip2"] and done.clips == 6


def test_a_lack_of_memory_while_decoding_says_nothing_of_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    calls = iter(range(100))
    real = load_audio

    def load(*arguments: Any, **options: Any) -> Any:
        if next(calls) == 3:
            raise AudioError("`x` must be audio") from RuntimeError("Internal psf_malloc() failed.")
        return real(*arguments, **options)

    monkeypatch.setattr(extract, "load_audio", load)
    done = embed(cuts, PooledEncoder(Level()), tmp_path / "store", EmbeddingConfig(workers=1))
    assert [item.id for item in done.unread] == ["clip2"] and done.clips == 6


def test_an_encoder_that_fails_on_everything_is_at_fault(tmp_path: Path) -> None:
    level = Level()
    level.broken = {4000 - 100 * index for index in range(7)}
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    with pytest.raises(
        DataError, match=r"`level` must encode a clip of the manifest, but fails on the first 2; .*clip"
    ):
        embed(cuts, PooledEncoder(level), tmp_path / "store", small())
    assert len(EmbeddingStore(tmp_path / "store").shards) == 0


def test_what_was_mended_is_tried_again_when_asked(tmp_path: Path) -> None:
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    encoder = PooledEncoder(Level())
    embed(cuts, encoder, tmp_path / "store", small())
    soundfile.write(tmp_path / "corpus" / "clip2.wav", np.resize([0.3, -0.3], 3800), 16_000)
    assert embed(cuts, encoder, tmp_path / "store", small()).unread
    done = embed(cuts, encoder, tmp_path / "store", small(retry=True))
    assert not done.unread and done.clips == 1
    assert EmbeddingStore(tmp_path / "store")["clip2"][1] == 3800


def test_clips_come_at_the_rate_of_the_encoder(tmp_path: Path) -> None:
    cuts = list(manifest.read(write(tmp_path / "corpus")))
    embed(cuts, PooledEncoder(Level(8000)), tmp_path / "store", small())
    store = EmbeddingStore(tmp_path / "store")
    assert store["clip0"][1] == 2000 and store.facts.sample_rate == 8000


def test_copies_are_encoded_once_and_more_clips_can_follow(tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus")
    encoder = PooledEncoder(Level())
    few = list(manifest.read(f"{corpus}#repeat=2"))[:9]  # seven and two copies
    assert embed(few, encoder, tmp_path / "store", small()).clips == 6
    store = EmbeddingStore(tmp_path / "store")
    assert len(store) == 6 and torch.equal(store["clip1~2"], store["clip1"])
    cuts = [*few[:7], *(cut.with_id(f"more/{cut.id}") for cut in few[:2])]
    assert embed(cuts, encoder, tmp_path / "store", small()).clips == 2
    assert EmbeddingStore(tmp_path / "store")["more/clip1"][1] == 3900


def test_an_id_that_stands_for_another_recording_is_refused_and_a_moved_corpus_is_not(tmp_path: Path) -> None:
    first, moved = write(tmp_path / "first"), write(tmp_path / "moved")
    encoder = PooledEncoder(Level())
    embed(list(manifest.read(first)), encoder, tmp_path / "store", small())
    assert embed(list(manifest.read(moved)), encoder, tmp_path / "store", small()).clips == 0
    soundfile.write(moved / "clip5.wav", np.full(3500, 0.5) * np.resize([1, -1], 3500), 16_000)  # as long, but louder
    with pytest.raises(DataError, match=r"`clip5` must be one recording, but is 0.219 s of 'clip5' .* another"):
        embed(list(manifest.read(moved)), encoder, tmp_path / "store", small())
    cuts = list(manifest.read(first))
    with pytest.raises(DataError, match=r"0.25 s of 'clip0' from 0 s on in .* another, 0.244 s of 'clip1'"):
        embed([cuts[1].with_id("clip0")], encoder, tmp_path / "store", small())
    assert EmbeddingStore(tmp_path / "store")["clip5"][0] == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"batch_seconds": 0.0}, {"shard_clips": 0}])
def test_values_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}` must be "):
        small(**wrong)
