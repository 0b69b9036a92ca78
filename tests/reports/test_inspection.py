"""Looking inside: against counts by hand, with a student that is its own teacher."""

from pathlib import Path

import numpy as np
import pytest
import torch

from noisewise.checkpoints import model_folder
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import EvaluationError
from noisewise.models.wav2code.codebook_learning import CodebookLearning, CodebookLearningConfig
from noisewise.models.wav2code.iff_net import NoFusionConfig
from noisewise.models.wav2code.predictor import CNNPredictorConfig, NearestConfig, PredictorConfig
from noisewise.models.wav2code.wav2code import Wav2Code, Wav2CodeConfig
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd
from noisewise.reports.inspection import (
    NEAREST,
    NEAREST_BY_TEACHER,
    Inspector,
    Subject,
    load,
    load_teacher,
    scene,
    speech,
)
from tests.corpus import write_corpus

ENCODER = Wav2Vec2Config(
    front_end=LogMelFrontEnd(bins=40, channels=16), dim=16, layers=1, heads=2, feed_forward=32, position_kernel=8,
    position_groups=4,
)  # fmt: skip
CODES = 12


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(tmp_path)
    return tmp_path


@pytest.fixture
def pool(corpus: Path) -> NoisePool:
    return NoisePool.load(NoiseConfig(manifest=str(corpus / "noise")), 0)


@pytest.fixture
def teacher(corpus: Path) -> CodebookLearning:
    """Random, its codes at frames of the corpus."""
    torch.manual_seed(0)
    model = CodebookLearning(CodebookLearningConfig(encoder=ENCODER, codes=CODES)).eval()
    with torch.no_grad():
        frames = [
            model.encoder(torch.from_numpy(wave)[None], torch.tensor([len(wave)])).features[0]
            for _, wave in speech([str(corpus / "corpus")], 8)
        ]
        model.codebook.initialise(torch.cat(frames), "data")
    return model


def student(teacher: CodebookLearning, predictor: PredictorConfig, name: str = "it") -> Subject:
    """A random predictor on the teacher's own encoder and codes."""
    torch.manual_seed(1)
    config = Wav2CodeConfig(encoder=ENCODER, codes=CODES, predictor=predictor, fusion=NoFusionConfig())
    model = Wav2Code(config).eval()
    model.encoder.load_state_dict(teacher.encoder.state_dict())
    model.codebook.load_state_dict(teacher.codebook.state_dict())
    return Subject(name, model)


def encoded(model: Wav2Code | CodebookLearning, wave: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return model.encoder(torch.from_numpy(wave)[None], torch.tensor([len(wave)])).features[0]


def test_shares_and_distances_against_plain_loops(corpus: Path, pool: NoisePool, teacher: CodebookLearning) -> None:
    subject = student(teacher, CNNPredictorConfig(dim=8))
    inspector = Inspector([subject], teacher, pool)
    utterances = list(speech([str(corpus / "corpus")], 2))
    found = inspector.look(utterances, [10, 0])
    assert found.conditions == ["0", "10", "clean"] and found.noise_types == ["babble", "traffic"]
    entries = teacher.codebook.entries.detach()
    right = {"it": 0, NEAREST: 0}
    squares, frames = {"noisy": 0.0, "restored": 0.0, "true_codes": 0.0}, 0
    for name, clean in utterances:
        truth = encoded(teacher, clean)
        codes = torch.cdist(truth, entries).argmin(dim=1)
        for kind in ("babble", "traffic"):
            noisy = encoded(subject.model, pool.at(name, kind, 10, clean)[0])
            with torch.no_grad():
                chosen = subject.model.predictor(noisy[None], torch.tensor([len(noisy)]))[0].argmax(dim=1)  # type: ignore[misc]
            right["it"] += int((chosen == codes).sum())
            right[NEAREST] += int((torch.cdist(noisy, entries).argmin(dim=1) == codes).sum())
            for view, values in {"noisy": noisy, "restored": entries[chosen], "true_codes": entries[codes]}.items():
                squares[view] += float(((values - truth) ** 2).mean(dim=1).sum())
            frames += len(codes)
    for predictor, count in right.items():
        assert found.accuracy[predictor]["10"] == pytest.approx(count / frames, abs=2 / frames)
    for view, total in squares.items():
        assert found.distances[view]["10"] == pytest.approx(total / frames, rel=1e-3)


def test_clean_speech_through_the_teacher_itself_is_right(
    corpus: Path, pool: NoisePool, teacher: CodebookLearning
) -> None:
    subjects = [student(teacher, NearestConfig()), student(teacher, CNNPredictorConfig(dim=8), "other")]
    inspector = Inspector(subjects, teacher, pool)
    found = inspector.look(speech([str(corpus / "corpus")], 8), [0])
    assert found.accuracy[NEAREST]["clean"] == 1 and found.distances["noisy"]["clean"] < 1e-8
    assert found.accuracy["it"] == found.accuracy[NEAREST] == found.accuracy[NEAREST_BY_TEACHER]  # nothing is predicted
    assert found.accuracy[NEAREST]["0"] < 1 and found.distances["noisy"]["0"] > 1e-3
    assert found.distances["nearest"]["clean"] == pytest.approx(found.distances["true_codes"]["0"], rel=1e-4)
    assert set(found.accuracy) == {"it", "other", NEAREST, NEAREST_BY_TEACHER} and 1 / CODES <= found.commonest < 1
    assert found.distances["true_codes"]["clean"] < found.spread
    kept = inspector.parallel
    assert [each.noise_type for each in kept[:3]] == ["babble", "traffic", "babble"] and len(kept) == 8
    assert {each.snr_db for each in kept} == {0.0}
    assert set(kept[0].views) == {*found.distances, "clean"}
    for view in kept[0].views:
        assert kept[0].views[view].shape == (len(kept[0].codes), 16)
    np.testing.assert_array_equal(kept[0].views["true_codes"], teacher.codebook.entries.detach()[kept[0].codes])


def test_a_scene_is_the_same_again_and_of_the_commonest_codes(
    corpus: Path, pool: NoisePool, teacher: CodebookLearning
) -> None:
    pytest.importorskip("sklearn")
    inspector = Inspector([student(teacher, NearestConfig())], teacher, pool)
    inspector.look(speech([str(corpus / "corpus")], 3), [0])
    first, second = (scene(inspector.parallel, teacher.codebook.entries, seed=3) for _ in range(2))
    assert first.entries.shape == (CODES, 2) and first.clean.shape == first.noisy.shape == (len(first.codes), 2)
    np.testing.assert_array_equal(first.noisy, second.noisy)
    every = np.concatenate([each.codes for each in inspector.parallel])
    uses = np.bincount(every, minlength=CODES)
    assert min(uses[np.unique(first.codes)]) >= max([0, *uses[np.setdiff1d(np.arange(CODES), first.codes)]])


def test_what_cannot_be_looked_into(corpus: Path, pool: NoisePool, teacher: CodebookLearning, tmp_path: Path) -> None:
    subject = student(teacher, NearestConfig())
    config = CodebookLearningConfig(encoder=ENCODER, codes=CODES - 1)
    other = model_folder.save(tmp_path / "other", CodebookLearning(config), config, None, card="")
    with pytest.raises(EvaluationError, match="must have 12 codes as it, but has 11"):
        load_teacher(other, [subject])
    with pytest.raises(EvaluationError, match="must hold a model of kind wav2code, but holds codebook_learning"):
        load(other)
    with pytest.raises(EvaluationError, match="two are alike"):
        Inspector([subject, subject], teacher, pool)
    with pytest.raises(EvaluationError, match="at least one ratio"):
        Inspector([subject], teacher, pool).look([], [])
    with pytest.raises(EvaluationError, match="1 or more"):
        list(speech([str(corpus / "corpus")], 0))


def test_names_of_runs_and_folders(teacher: CodebookLearning, tmp_path: Path) -> None:
    model = student(teacher, CNNPredictorConfig(dim=8)).model
    model_folder.save(tmp_path / "third" / "best", model, model.config, None, card="")
    assert load(tmp_path / "third").name == load(tmp_path / "third" / "best").name == "cnn (third)"


def test_an_encoder_that_has_gone_elsewhere_is_not_the_teachers(
    corpus: Path, pool: NoisePool, teacher: CodebookLearning
) -> None:
    stayed, gone = student(teacher, NearestConfig()), student(teacher, NearestConfig())
    with torch.no_grad():
        norms = [module for module in gone.model.encoder.modules() if isinstance(module, torch.nn.LayerNorm)]
        norms[-1].weight.neg_()  # Z_n is -Z_c
    found = [
        Inspector([subject], teacher, pool).look(speech([str(corpus / "corpus")], 2), [5]) for subject in (stayed, gone)
    ]
    assert found[0].accuracy[NEAREST_BY_TEACHER] == found[1].accuracy[NEAREST_BY_TEACHER]
    assert found[1].accuracy[NEAREST]["clean"] < found[1].accuracy[NEAREST_BY_TEACHER]["clean"] == 1
    assert found[1].distances["noisy"]["clean"] > 0.1 > 1e-8 > found[1].distances["noisy_by_teacher"]["clean"]
