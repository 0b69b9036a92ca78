"""Probes: every clip is tested by a probe that has not seen its fold, and the test fold chooses nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from noisewise.data.embeddings.store import EmbeddingFacts, EmbeddingStore, Unread
from noisewise.data.embeddings.writer import EmbeddingWriter
from noisewise.data.manifests import read as manifest
from noisewise.embeddings import probe as probing
from noisewise.embeddings.probe import Clips, probe, read_clips
from noisewise.errors import EvaluationError


def clouds(noise: float = 0.1, seed: int = 0) -> Clips:
    """Three classes, three folds of 12 clips, in groups of two."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(36) % 3
    features = torch.eye(3)[label] + noise * torch.randn(36, 3, generator=generator)
    folds = [f"fold{1 + place // 12}" for place in range(36)]
    labels = torch.nn.functional.one_hot(label, 3).bool()
    return Clips(features, labels, folds, [str(place // 2) for place in range(36)], 0)


@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_what_can_be_read_off_is(kind: Any) -> None:
    found = probe(clouds(), kind, store="s", encoder="e")
    assert found.metric == "accuracy" and found.score == 1.0 and found.low == found.high == 1.0
    assert [(each.fold, each.held_out, each.train, each.test) for each in found.folds] == [
        ("fold1", "fold2", 24, 12),
        ("fold2", "fold3", 24, 12),
        ("fold3", "fold1", 24, 12),
    ]
    assert found.clips == 36 and (found.store, found.encoder, found.probe) == ("s", "e", kind)


@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_labels_of_the_test_fold_change_no_score_of_it(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clouds(noise=0.6)
    seen: list[Tensor] = []
    classify, strengths = probing.PROBES[kind]

    def spied(*words: Any) -> list[Tensor]:
        found = classify(*words)
        seen.append(found[-1])
        return found

    monkeypatch.setitem(probing.PROBES, kind, (spied, strengths))
    first = probe(clips, kind, store="s", encoder="e", tests=["fold1"])
    clips.labels[:12] = clips.labels[:12].roll(1, dims=1)  # all wrong in fold1
    second = probe(clips, kind, store="s", encoder="e", tests=["fold1"])
    assert torch.equal(seen[1], seen[3]) and first.folds[0].strength == second.folds[0].strength
    assert second.score < 0.5 < first.score and first.low < first.score < first.high


def test_vectors_without_the_labels_give_chance() -> None:
    clips = clouds()
    clips = Clips(torch.randn(36, 3, generator=torch.Generator().manual_seed(1)), clips.labels, clips.folds, None, 0)
    assert probe(clips, "linear", store="s", encoder="e").score < 0.65


def test_two_folds_are_a_split_and_the_strength_is_chosen_in_training() -> None:
    clips = clouds()
    names = ["test" if fold == "fold1" else "train" for fold in clips.folds]
    found = probe(
        Clips(clips.features, clips.labels, names, clips.groups, 0), "knn", store="s", encoder="e", tests=["test"]
    )
    assert [(each.fold, each.held_out, each.train) for each in found.folds] == [("test", "drawn", 24)]
    drawn = probing._drawn(clips, np.ones(36, dtype=bool), 0)
    assert int(drawn.sum()) == 6 and all(drawn[2 * pair] == drawn[2 * pair + 1] for pair in range(18))  # groups stay


def test_the_smallest_part_of_training_chooses() -> None:
    clips = clouds()
    names = ["test"] * 12 + ["train"] * 15 + ["validation"] * 9
    split = Clips(clips.features, clips.labels, names, None, 0)
    found = probe(split, "knn", store="s", encoder="e", tests=["test"])
    assert [(each.held_out, each.train, each.test) for each in found.folds] == [("validation", 24, 12)]


@pytest.mark.parametrize("seed", range(8))
def test_where_one_fold_is_learned_from_a_group_of_it_is_drawn(seed: int) -> None:
    clips = clouds()
    names = ["test" if fold == "fold3" else "train" for fold in clips.folds]
    train = np.array([name == "train" for name in names])
    drawn = probing._drawn(Clips(clips.features, clips.labels, names, clips.groups, 0), train, seed)
    assert drawn.sum() == 4 and not (drawn & ~train).any(), "2 of its 12 groups of two"
    one = Clips(clips.features, clips.labels, names, ["s"] * 36, 0)
    with pytest.raises(EvaluationError, match="of two groups or more"):
        probing._drawn(one, train, seed)


def test_a_named_fold_chooses() -> None:
    found = probe(clouds(), "knn", store="s", encoder="e", tests=["fold1"], held_out="fold3")
    assert found.folds[0].held_out == "fold3"
    with pytest.raises(EvaluationError, match="`held_out` must be no test fold, but 'fold3' is"):
        probe(clouds(), "knn", store="s", encoder="e", held_out="fold3")
    with pytest.raises(EvaluationError, match="it holds fold1, fold2, fold3 and no 'fold9'"):
        probe(clouds(), "knn", store="s", encoder="e", tests=["fold9"])


def test_several_labels_are_scored_by_mean_average_precision() -> None:
    clips = clouds()
    clips.labels[::6, 1] = True
    found = probe(clips, "linear", store="s", encoder="e")
    assert found.metric == "mean_average_precision" and 0.7 < found.score <= 1
    assert found.low <= found.score <= found.high


def write(folder: Path, frames: bool = False) -> EmbeddingStore:
    """A table of four clips, one of which could not be read, and a store of the others."""
    folder.mkdir()
    rows = ["path\tduration_seconds\tlabel\tfold", "a.wav\t1.0\tdog;cat\t1", "b.wav\t1.0\tcat\t2"]
    rows += ["c.wav\t1.0\tdog\t2", "d.wav\t1.0\tdog\t1"]
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    level: Any = "frames" if frames else "clip"
    writer = EmbeddingWriter(folder / "store", EmbeddingFacts(encoder="e", dim=2, sample_rate=16_000, level=level))
    vectors = [(name, torch.tensor([float(place), 1.0])) for place, name in enumerate("cba")]
    if frames:
        vectors = [(name, torch.stack([vector - 1, vector + 1, vector])) for name, vector in vectors]
    writer.add(vectors, [Unread("d", "d.wav", "truncated", "it ends")])
    return EmbeddingStore(folder / "store")


@pytest.mark.parametrize("frames", [False, True])
def test_vectors_meet_the_labels_of_their_clips(tmp_path: Path, frames: bool) -> None:
    store = write(tmp_path / "corpus", frames)
    clips = read_clips(store, list(manifest.read(tmp_path / "corpus")))
    assert clips.features.tolist() == [[2, 1], [1, 1], [0, 1]]  # a, b, c
    assert clips.labels.int().tolist() == [[1, 1], [1, 0], [0, 1]]  # cat, dog
    assert clips.folds == ["1", "2", "2"] and clips.left_out == 1 and clips.groups is None
    assert clips.metric == "mean_average_precision"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    store = write(tmp_path / "corpus")
    cuts = list(manifest.read(tmp_path / "corpus"))
    with pytest.raises(EvaluationError, match="must have a value in the column 'take'"):
        read_clips(store, cuts, fold="take")
    with pytest.raises(EvaluationError, match="must hold all clips of the manifest, but lacks 1, such as 'z'"):
        read_clips(store, [*cuts, cuts[0].with_id("z")])
