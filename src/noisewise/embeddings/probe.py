"""Probes: how well a small classifier predicts the labels from the frozen vectors of a store.

Every fold is the test set once, or those that are named. The strength of a probe (regularisation, neighbours) is chosen
on a held-out part of the training folds, and the probe is then fitted again on all of them: the test fold chooses
nothing.

Legend: N clips, D width, K classes.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.data.embeddings.store import EmbeddingStore
from noisewise.data.manifests.cuts import column
from noisewise.data.manifests.labels import Labels, labels_of, names_in
from noisewise.embeddings.classifiers import NEIGHBOURS, PENALTIES, linear, nearest
from noisewise.embeddings.probe_result import FoldScore, Kind, Metric, Probe
from noisewise.errors import EvaluationError
from noisewise.scoring import tagging

if TYPE_CHECKING:
    from noisewise.data.manifests.cuts import Cut

HELD_OUT = 5
"""Where training is one fold, one clip (or group) in so many is held out to choose the strength."""
PROBES: dict[Kind, tuple[Callable[[Tensor, Tensor, Tensor, Sequence[Any]], list[Tensor]], Sequence[float]]] = {
    "linear": (linear, PENALTIES),
    "knn": (nearest, NEIGHBOURS),
}
"""Kind to the classifier and the strengths that are tried, from cautious to bold."""


@dataclass(frozen=True)
class Clips:
    """Labelled vectors."""

    features: Tensor
    """Vectors of the clips, float32. (N, D)"""
    labels: Tensor
    """Whether a label holds. (N, K) bool."""
    folds: list[str]
    """Fold, or split, of each clip."""
    groups: list[str] | None
    """Group of each clip, such as the recording that it was cut from; None without groups."""
    left_out: int
    """Number of clips of the manifest without a vector."""

    @property
    def metric(self) -> Metric:
        """Accuracy where every clip has one label, else mean average precision."""
        return "accuracy" if bool((self.labels.sum(dim=1) == 1).all()) else "mean_average_precision"


def read_clips(
    store: EmbeddingStore,
    cuts: "Sequence[Cut]",
    *,
    label: str = "label",
    fold: str = "fold",
    group: str | None = None,
) -> Clips:
    """The vectors of a manifest's clips with their labels; of frames, the mean.

    Args:
        store: the vectors.
        cuts: labelled clips.
        label: column with the classes of a clip, several joined by ";".
        fold: column with its fold, or its split.
        group: column that says which clips belong together.

    Raises:
        EvaluationError: a clip is not in the store, or has no label or no fold.
        DataError: its id stands for another recording in the store.
    """
    known = [cut for cut in cuts if cut.id not in store.unread]
    if absent := store.missing(cut.id for cut in known):
        raise EvaluationError(
            f"`{store.folder}` must hold all clips of the manifest, but lacks {len(absent)}, such as '{absent[0]}'; "
            "run `noisewise embed` on it into the same folder"
        )
    store.must_be_of(known)
    columns = {name: [_value(cut, name) for cut in known] for name in (fold, group) if name is not None}
    counts = {len(labels_of(cut, label)) for cut in known}
    if 0 in counts and max(counts) < 2:
        bare = next(cut.id for cut in known if not labels_of(cut, label))
        raise EvaluationError(f"'{bare}' must have a label in the column '{label}', but has none; filter it out")
    labels = Labels(names_in(known, label), label)
    features = _means(store, [cut.id for cut in known])
    truth = torch.stack([labels.row(cut) for cut in known]).bool()
    return Clips(features, truth, columns[fold], None if group is None else columns[group], len(cuts) - len(known))


def probe(
    clips: Clips,
    kind: Kind,
    *,
    store: str,
    encoder: str,
    tests: Sequence[str] = (),
    held_out: str | None = None,
    seed: int = 0,
) -> Probe:
    """Probe labelled vectors.

    Args:
        clips: the vectors.
        kind: which classifier.
        store: name for the result.
        encoder: name for the result.
        tests: folds that are test sets in turn; all of them when empty.
        held_out: fold of training that chooses the strength; by default the smallest, of equals the next after the test
            fold.
        seed: seed of the bootstrap, and of the held-out draw where training is one fold.

    Raises:
        EvaluationError: there is no such fold, or none to train on.
    """
    known = sorted(set(clips.folds))
    _check_folds(known, tests, held_out)
    folds, scores, places = [], [], []
    for test in tests or known:
        found, score = _fold(clips, kind, test, held_out or _chooser(clips.folds, test), seed)
        folds.append(found)
        scores.append(score)
        places += [place for place, name in enumerate(clips.folds) if name == test]
    given, truth = torch.cat(scores).numpy(), clips.labels[places].numpy()
    groups = None if clips.groups is None else [clips.groups[place] for place in places]
    interval = tagging.bootstrap(given, truth, clips.metric, groups=groups, seed=seed)
    total = _score(torch.from_numpy(given), clips.labels[places], clips.metric)
    return Probe(
        store, encoder, kind, clips.metric, total, interval.low, interval.high, folds, len(places), clips.left_out
    )


def probe_stores(
    folders: Sequence[str | Path],
    cuts: "Sequence[Cut]",
    kinds: Sequence[Kind],
    *,
    label: str = "label",
    fold: str = "fold",
    group: str | None = None,
    tests: Sequence[str] = (),
    held_out: str | None = None,
    seed: int = 0,
) -> list[Probe]:
    """Probe several stores of the same clips, with each kind of classifier.

    Args:
        folders: the stores.
        cuts: labelled clips.
        kinds: which classifiers.
        label: as in `read_clips`, like `fold` and `group`.
        fold: see there.
        group: see there.
        tests: as in `probe`, like `held_out` and `seed`.
        held_out: see there.
        seed: see there.

    Raises:
        EvaluationError: as `read_clips` and `probe`.
    """
    found = []
    for folder in folders:
        store = EmbeddingStore(folder)
        clips = read_clips(store, cuts, label=label, fold=fold, group=group)
        for kind in kinds:
            found.append(
                probe(
                    clips,
                    kind,
                    store=Path(folder).name,
                    encoder=store.encoder,
                    tests=tests,
                    held_out=held_out,
                    seed=seed,
                )
            )
    return found


def _fold(clips: Clips, kind: Kind, test: str, chooser: str | None, seed: int) -> tuple[FoldScore, Tensor]:
    """Scores (M, K) of the clips of a test fold, and its result."""
    classify, strengths = PROBES[kind]
    names = np.array(clips.folds)
    train, tested = names != test, names == test
    chosen_by = (names == chooser) if chooser is not None else _drawn(clips, train, seed)
    rest = train & ~chosen_by
    tried = classify(clips.features[rest], clips.labels[rest], clips.features[chosen_by], strengths)
    held = [_score(each, clips.labels[chosen_by], clips.metric) for each in tried]
    best = int(np.argmax(held))  # the first of equals is the most cautious
    (scores,) = classify(clips.features[train], clips.labels[train], clips.features[tested], [strengths[best]])
    score = _score(scores, clips.labels[tested], clips.metric)
    named = "drawn" if chooser is None else chooser
    return FoldScore(test, score, strengths[best], named, int(train.sum()), int(tested.sum())), scores


def _chooser(folds: Sequence[str], test: str) -> str | None:
    """The smallest training fold, of equals the next after the test fold; None where there is one alone."""
    counts = Counter(folds)
    known = sorted(counts)
    after = known[known.index(test) + 1 :] + known[: known.index(test)]
    return min(after, key=counts.__getitem__) if len(after) > 1 else None


def _drawn(clips: Clips, train: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """One group in five of the training clips, or one clip. (N,)

    Raises:
        EvaluationError: they are of one group.
    """
    names = clips.groups or [str(place) for place in range(len(clips.folds))]
    groups = sorted({name for name, learned in zip(names, train, strict=True) if learned})
    if len(groups) < 2:
        raise EvaluationError(
            "the training clips must be of two groups or more, so that one can be held out, but are all of "
            f"'{groups[0]}'; give more folds, or leave --groups out"
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    chosen = {groups[place] for place in order[: max(1, len(groups) // HELD_OUT)]}
    return np.array([learned and name in chosen for name, learned in zip(names, train, strict=True)])


def _score(scores: Tensor, labels: Tensor, metric: Metric) -> float:
    if metric == "accuracy":
        return float(tagging.hits(scores.numpy(), labels.numpy()).mean())
    return tagging.score(scores.numpy(), labels.numpy()).mean_average_precision


def _check_folds(known: Sequence[str], tests: Sequence[str], held_out: str | None) -> None:
    unknown = [name for name in (*tests, *([] if held_out is None else [held_out])) if name not in known]
    if unknown or len(known) < 2:
        raise EvaluationError(
            f"`folds` must name a column with the test fold and another, but it holds {', '.join(known)}"
            + (f" and no '{unknown[0]}'" if unknown else "")
        )
    if held_out in (tests or known):
        raise EvaluationError(f"`held_out` must be no test fold, but '{held_out}' is; name the test folds with --test")
    if held_out is not None and len(known) < 3:
        raise EvaluationError("`held_out` must leave a fold to train on, but leaves none; leave it out")


def _value(cut: "Cut", name: str) -> str:
    value = column(cut, name)
    if value is None:
        raise EvaluationError(f"'{cut.id}' must have a value in the column '{name}', but has none; name another column")
    return value


def _means(store: EmbeddingStore, ids: Sequence[str]) -> Tensor:
    """One vector a clip. (N, D)"""
    return torch.stack([vector if vector.ndim == 1 else vector.mean(dim=0) for vector in map(store.__getitem__, ids)])
