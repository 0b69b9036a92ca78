"""Looking inside Wav2code: what its codes and restored representations are worth in noise (its Fig. 4, 5 and 6).

The reference is that of training: a frozen teacher encodes clean speech and gives Z_c and the codes E. The model under
inspection encodes the same speech in noise. Legend, beside that of the project: n frames that are drawn.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio.mix import Waveform
from noisewise.checkpoints import model_folder
from noisewise.data.manifests import read as manifest
from noisewise.data.noise.pool import NoisePool
from noisewise.errors import AudioError, EvaluationError
from noisewise.files import replaced
from noisewise.models import Model
from noisewise.models.wav2code.codebook_learning import CodebookLearning
from noisewise.models.wav2code.wav2code import Restoration, Wav2Code

CLEAN = "clean"
"""The condition without noise."""
NEAREST = "nearest"
"""Nearest-neighbour matching of what the run's encoder makes of noisy speech: nothing is predicted."""
NEAREST_BY_TEACHER = "nearest by teacher"
"""The same of what the teacher's encoder makes of it. The run's has learned to be read by its predictor and its fusion,
and may have left the place where the codes are; the teacher's has not."""
GROUPS = 10
"""Codes, the most frequent ones, whose frames are drawn."""
FRAMES = 600
"""Frames that are drawn at most, of clean and of noisy speech each."""
Matrix = NDArray[np.float32]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """A trained Wav2code and how it is called."""

    name: str
    model: Wav2Code


@dataclass
class Inspection:
    """What was found. A condition is an SNR in dB, as text, or `clean`."""

    conditions: list[str]
    accuracy: dict[str, dict[str, float]]
    """Predictor to condition to the share of frames whose code is that of the clean speech (Fig. 4)."""
    distances: dict[str, dict[str, float]]
    """Representation to condition to its mean squared distance from Z_c, per value: `noisy` Z_n, its `nearest` codes,
    the same by the teacher's encoder (`noisy_by_teacher`, `nearest_by_teacher`), `restored` Z_n^q, `fused` Z_f, and
    `true_codes`, the entries of E, which is as near as codes can be."""
    spread: float
    """Mean squared distance of Z_c from its own mean: what a constant would have."""
    commonest: float
    """Share of the commonest clean code: the accuracy of always saying the same."""
    utterances: list[str]
    noise_types: list[str]
    about: dict[str, Any] = field(default_factory=dict)
    """Run, teacher, data and command."""

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        values = {"format": "noisewise-inspection-1", **asdict(self)}
        with replaced(path) as file:
            file.write(json.dumps(values, indent=2) + "\n")


@dataclass(frozen=True)
class Parallel:
    """Frames of one utterance, clean and in noise."""

    utterance: str
    noise_type: str
    snr_db: float
    codes: NDArray[np.int64]
    """E. (F,)"""
    views: dict[str, Matrix]
    """Those of `Inspection.distances`, and `clean`, each (F, D)."""


@dataclass(frozen=True)
class Scene:
    """Entries and frames in a plane."""

    entries: Matrix
    """(N, 2)"""
    clean: Matrix
    """(n, 2)"""
    noisy: Matrix
    """The same frames in noise, by the teacher's encoder. (n, 2)"""
    codes: NDArray[np.int64]
    """Of the clean frames. (n,)"""


def load(folder: str | Path) -> Subject:
    """Read a run or a model folder.

    Raises:
        EvaluationError: it holds another kind of model.
    """
    place = best(folder)
    stage = model_folder.load_stored(place)
    model = stage.model()
    if not isinstance(model, Wav2Code):
        raise EvaluationError(f"`{folder}` must hold a model of kind wav2code, but holds {stage.config.kind} instead")
    name = place.parent.name if place.name == "best" else place.name
    return Subject(f"{model.config.predictor.kind} ({name})", model)


def best(folder: str | Path) -> Path:
    """The model folder of a run, or the folder itself."""
    return Path(folder) / "best" if (Path(folder) / "best").is_dir() else Path(folder)


def load_teacher(folder: str | Path, subjects: Sequence[Subject]) -> Model:
    """Read the stage that gives the clean codes.

    Raises:
        EvaluationError: its frames or its codes are not those of a subject.
    """
    teacher = model_folder.load_stored(best(folder)).model()
    for subject in subjects:
        own, other = subject.model.encoder, teacher.encoder
        if (own.dim, own.hop) != (other.dim, other.hop):
            raise EvaluationError(
                f"`teacher` must give {own.dim} values every {own.hop} samples as {subject.name}, but gives "
                f"{other.dim} every {other.hop}; give the teacher of its training"
            )
        size = subject.model.codebook.size
        if isinstance(teacher, CodebookLearning) and teacher.codebook.size != size:
            raise EvaluationError(
                f"`teacher` must have {size} codes as {subject.name}, but has {teacher.codebook.size}"
            )
    return teacher


def speech(manifests: Sequence[str], limit: int) -> Iterator[tuple[str, Waveform]]:
    """Ids and samples of at most `limit` utterances, evenly spaced; what cannot be read is logged and left out."""
    if limit < 1:
        raise EvaluationError(f"`limit` must be 1 or more, but is {limit} instead")
    cuts = manifest.read_many(manifests)
    for cut in cuts if len(cuts) <= limit else [cuts[index * len(cuts) // limit] for index in range(limit)]:
        try:
            yield cut.id, manifest.load_audio(cut)
        except AudioError as error:
            log.warning("left out %s: %s", cut.id, error)


class Inspector:
    """Goes through utterances and keeps sums; one utterance is in memory at a time, and the frames to draw."""

    def __init__(self, subjects: Sequence[Subject], teacher: Model, pool: NoisePool):
        """The first of the `subjects` is looked into, the others are compared by their codes.

        Raises:
            EvaluationError: two subjects have one name.
        """
        if len({subject.name for subject in subjects}) < len(subjects):
            raise EvaluationError("runs must differ in their predictor or their folder's name, but two are alike")
        self.subjects, self.teacher, self.pool = list(subjects), teacher, pool
        self.codebook = teacher.codebook if isinstance(teacher, CodebookLearning) else subjects[0].model.codebook
        self.parallel: list[Parallel] = []
        """Each utterance at the lowest SNR, the types in turn."""

    @torch.inference_mode()
    def look(self, utterances: Iterable[tuple[str, Waveform]], snrs_db: Sequence[float]) -> Inspection:
        """Encode every utterance clean, and in every noise at every SNR.

        Raises:
            EvaluationError: no utterance, or no SNR.
        """
        if not snrs_db:
            raise EvaluationError("`snrs_db` must name at least one ratio, but is empty")
        lowest, sums = min(snrs_db), _Sums()
        clean: dict[str, Tensor] = {}
        self.parallel = []
        for name, samples in utterances:
            truth, codes = self._truth(samples)
            clean[name] = truth
            for snr in [*sorted(snrs_db), None]:
                noisy = samples[None] if snr is None else self._mixtures(name, samples, snr)
                views = self._add(noisy, truth, codes, _condition(snr), sums)
                if snr == lowest:
                    self._keep(name, lowest, views, truth, codes)
        if not clean:
            raise EvaluationError("the manifest must hold an utterance that can be read, but holds none")
        return self._found(torch.cat(list(clean.values())), list(clean), sums)

    def _add(self, noisy: Matrix, truth: Tensor, codes: Tensor, condition: str, sums: "_Sums") -> dict[str, Tensor]:
        """Add one utterance in one condition to the sums; gives the representations of the first subject."""
        sums.frames[condition] += len(noisy) * len(codes)
        outputs = [_restored(subject, noisy, len(codes)) for subject in self.subjects]
        views = self._views(outputs[0], self._by_teacher(noisy, len(codes)), codes)
        chosen = {
            NEAREST: self.subjects[0].model.codebook.nearest(views["noisy"]),
            NEAREST_BY_TEACHER: self.codebook.nearest(views["noisy_by_teacher"]),
        }
        chosen |= {subject.name: output.ids for subject, output in zip(self.subjects, outputs, strict=True)}
        for predictor, ids in chosen.items():
            sums.right[predictor][condition] += float((ids == codes).sum())
        for view, values in views.items():
            sums.squares[view][condition] += float((values - truth).square().mean(dim=-1).sum())
        return views

    def _found(self, clean: Tensor, names: list[str], sums: "_Sums") -> Inspection:
        return Inspection(
            list(sums.frames),
            sums.means(sums.right),
            sums.means(sums.squares),
            float((clean - clean.mean(dim=0)).square().mean()),
            float(torch.bincount(self.codebook.nearest(clean)).max()) / len(clean),
            names,
            self.pool.types,
        )

    def _truth(self, samples: Waveform) -> tuple[Tensor, Tensor]:
        """Z_c (F, D) and E (F,) of clean speech."""
        output = self.teacher.encoder(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        clean = output.features[0, : int(output.lengths)]
        return clean, self.codebook.nearest(clean)

    def _mixtures(self, name: str, samples: Waveform, snr: float) -> Matrix:
        """The utterance in each type of noise. (types, T)"""
        return np.stack([self.pool.at(name, kind, snr, samples)[0] for kind in self.pool.types])

    def _by_teacher(self, noisy: Matrix, frames: int) -> Tensor:
        """Features of noisy speech by the teacher's encoder. (types, T) -> (types, F, D)"""
        output = self.teacher.encoder(torch.from_numpy(noisy), torch.full((len(noisy),), noisy.shape[1]))
        features: Tensor = output.features[:, :frames]
        return features

    def _views(self, output: Restoration, by_teacher: Tensor, codes: Tensor) -> dict[str, Tensor]:
        """Every representation, (types, F, D)."""
        own = self.subjects[0].model.codebook
        return {
            "noisy": output.noisy,
            "nearest": own.lookup(own.nearest(output.noisy)),
            "noisy_by_teacher": by_teacher,
            "nearest_by_teacher": self.codebook.lookup(self.codebook.nearest(by_teacher)),
            "restored": output.restored,
            "fused": output.fused,
            "true_codes": self.codebook.lookup(codes).expand_as(output.noisy),
        }

    def _keep(self, name: str, snr: float, views: dict[str, Tensor], clean: Tensor, codes: Tensor) -> None:
        types = self.pool.types
        turn = len(self.parallel) % len(types)
        kept = {view: values[turn].numpy() for view, values in views.items()}
        self.parallel.append(Parallel(name, types[turn], snr, codes.numpy(), {**kept, CLEAN: clean.numpy()}))


def _restored(subject: Subject, noisy: Matrix, frames: int) -> Restoration:
    """Restoration of waveforms of one length, (types, T), by a subject, cut to the frames that are valid."""
    lengths = torch.full((len(noisy),), noisy.shape[1])
    output = subject.model.restore(torch.from_numpy(noisy), lengths)
    if int(output.lengths[0]) != frames:
        raise EvaluationError(
            f"{subject.name} must give {frames} frames as the teacher, but gives {int(output.lengths[0])} instead"
        )
    whole = (output.noisy, output.restored, output.fused, output.ids)
    features, restored, fused, ids = (values[:, :frames] for values in whole)
    return Restoration(features, restored, fused, ids, output.logits, output.lengths)


class _Sums:
    """Over frames, by what is measured and by condition."""

    def __init__(self) -> None:
        self.right: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.squares: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.frames: dict[str, float] = defaultdict(float)

    def means(self, sums: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        """Divided by the frames of each condition."""
        return {name: {key: value / self.frames[key] for key, value in row.items()} for name, row in sums.items()}


def _condition(snr_db: float | None) -> str:
    return CLEAN if snr_db is None else f"{snr_db:g}"


def scene(parallel: Sequence[Parallel], entries: Tensor, seed: int = 0) -> Scene:
    """Entries, clean frames and the same frames in noise in one plane, by t-SNE (Fig. 5).

    All are of the teacher, in whose space the codes lie.

    Drawn are frames of the `GROUPS` commonest codes, at most `FRAMES` of them, evenly spaced.

    Args:
        parallel: of `Inspector`.
        entries: of the codebook. (N, D)
        seed: of the embedding.
    """
    from sklearn.manifold import TSNE

    codes = np.concatenate([each.codes for each in parallel])
    uses = np.bincount(codes, minlength=len(entries))
    common = np.argsort(-uses, kind="stable")[: min(GROUPS, int((uses > 0).sum()))]
    where = np.flatnonzero(np.isin(codes, common))
    where = where[np.arange(min(FRAMES, len(where))) * len(where) // min(FRAMES, len(where))]
    clean, noisy = (
        np.concatenate([each.views[view] for each in parallel])[where] for view in (CLEAN, "noisy_by_teacher")
    )
    points = np.concatenate([entries.detach().numpy(), clean, noisy])
    perplexity = min(30.0, (len(points) - 1) / 3)
    plane = TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=1).fit_transform(points)
    parts = np.split(plane.astype(np.float32), [len(entries), len(entries) + len(where)])
    return Scene(parts[0], parts[1], parts[2], codes[where])
