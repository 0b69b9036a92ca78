"""The grid of a tagger on tones in noise: what is heard, what is counted, what survives an interruption."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from noisewise.audio.waveform import SAMPLE_RATE, save
from noisewise.errors import EvaluationError, NoisewiseError
from noisewise.evaluation import noise_grid as grid
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.resume import Condition
from noisewise.evaluation.runner import Hearing
from noisewise.evaluation.systems.protocol import Failure, Waveform
from noisewise.evaluation.systems.taggers import NamedTagger
from noisewise.evaluation.tagging import ScoredCell, _cell, evaluate_tagger, summarise
from noisewise.evaluation.tagging_result import TaggingResult
from noisewise.evaluation.test_set import Utterance
from noisewise.reports import comparison_table
from noisewise.reports.comparison import compare
from noisewise.reports.per_item import read
from noisewise.reports.tagging_table import latex, markdown
from noisewise.scoring.tagging import bootstrap, score

TONES = {"low": 400, "middle": 800, "high": 1600}
LABELS = list(TONES)
SNRS = (-20.0, 20.0)


def tone(hertz: float, seconds: float, level: float = 0.1) -> Waveform:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def loudness(waveforms: list[Waveform]) -> list[NDArray[np.float64]]:
    """Of the tone of each class."""
    spectra = [np.abs(np.fft.rfft(waveform, SAMPLE_RATE)) / len(waveform) for waveform in waveforms]
    return [np.array([spectrum[hertz] for hertz in TONES.values()]) for spectrum in spectra]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of three recordings, with texts too; two of each class."""
    folder = tmp_path_factory.mktemp("clips")
    lines = ["path\trecording\tlabel\ttext"]
    for index in range(6):
        label = LABELS[index % 3]
        save(folder / f"c{index}.flac", tone(TONES[label], 0.3 + 0.1 * index))
        lines.append(f"c{index}.flac\tr{index // 2}\t{label}\tWORD")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hum that sounds like the lowest class, and hiss that sounds like none."""
    folder = tmp_path_factory.mktemp("noise")
    hiss = np.random.default_rng(0).normal(0, 0.05, 40_000).astype(np.float32)
    lines = ["path\tsplit\tlabel"]
    for kind, sound in {"car": tone(400, 2.0), "cafe": hiss}.items():
        save(folder / f"{kind}.flac", sound)
        lines.append(f"{kind}.flac\ttest\t{kind}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


def named(ask: object = loudness) -> NamedTagger:
    return NamedTagger("python:tests:loudness", LABELS, ask)  # type: ignore[arg-type]


def test_two_taggers_are_compared_clip_by_clip(clips: Path, noise: Path, tmp_path: Path) -> None:
    """One that never says "low" is wrong in two clips of six where there is no noise, and right in four in the hum."""

    def deaf(waveforms: list[Waveform]) -> list[NDArray[np.float64]]:
        return [scores * [0, 1, 1] for scores in loudness(waveforms)]

    for name, ask in (("a", loudness), ("b", deaf)):
        evaluate_tagger(str(clips), named(ask), str(noise), SNRS).save(tmp_path / f"{name}.json")
    found = compare([read(tmp_path / "a.json"), read(tmp_path / "b.json")], ["a", "b"])
    assert found.of_taggers and found.words == found.utterances == 6
    assert found.lines["clean"].wer == pytest.approx([0, 1 / 3])
    hum = found.lines["car@-20"]
    assert hum.wer == pytest.approx([2 / 3, 1 / 3]) and (hum.pairs[0].better, hum.pairs[0].worse) == (4, 2)
    text = comparison_table.markdown(found, utterances=9)
    assert "6 clips; errors are clips whose best class is none of theirs" in text and "WER" not in text
    assert "(clips), p of" in text and "c1, car@-20: wrong to right\n  - is: middle\n  - heard: low\n" in text
    speech = GridResult.load(Path(__file__).parent.parent.parent / "results" / "box_an4_44.json")
    with pytest.raises(NoisewiseError, match="must all be of recognisers or all of taggers"):
        compare([read(tmp_path / "a.json"), speech], ["a", "b"])


def test_accuracy_and_precision_by_noise_type_and_ratio(clips: Path, noise: Path) -> None:
    result = evaluate_tagger(str(clips), named(), str(noise), SNRS)
    assert (result.clips, result.groups, result.classes) == (6, 3, 3)
    assert result.noise_types == ["car", "cafe"] and result.snr_db == [-20.0, 20.0]
    assert result.clean.accuracy is not None and result.clean.accuracy.value == 1.0
    assert result.clean.mean_average_precision.value == 1.0
    drowned = result.cell("car", -20).accuracy
    assert drowned is not None and drowned.value == pytest.approx(1 / 3), "the hum makes every clip low"
    assert result.per_clip.right["car@-20"] == [1, 0, 0, 1, 0, 0]
    assert result.per_clip.best is not None and set(result.per_clip.best["car@-20"]) == {"low"}
    assert result.per_clip.labels == ["low", "middle", "high"] * 2
    car = result.averages["car"].accuracy
    assert car is not None and car.value == pytest.approx((1 / 3 + 1) / 2)
    assert result.averages["all"].cells == 4 and result.averages["type_a"].noise_types == ["car"]
    both = [result.cell(kind, -20).mean_average_precision.value for kind in ("car", "cafe")]
    assert result.averages["all@-20"].mean_average_precision.value == pytest.approx(np.mean(both))


def test_taggers_hear_the_mixtures_that_recognisers_hear(clips: Path, noise: Path) -> None:
    ours = evaluate_tagger(str(clips), named(), str(noise), SNRS, seed=3, batch_seconds=0.5)
    theirs = grid.evaluate(str(clips), lambda waveforms: ["WORD"] * len(waveforms), str(noise), SNRS, seed=3)
    assert [row.mixture_sha256 for row in ours.cells] == [row.mixture_sha256 for row in theirs.cells]
    assert ours.clean.mixture_sha256 == theirs.clean.mixture_sha256
    other = evaluate_tagger(str(clips), named(), str(noise), SNRS, seed=4)
    assert other.cell("cafe", 20).mixture_sha256 != ours.cell("cafe", 20).mixture_sha256


def cells(scores: NDArray[np.float64], *conditions: Condition) -> list[ScoredCell]:
    truth = np.zeros(scores.shape, bool)
    return [
        _cell(truth, Hearing(one, list(scores.astype(np.float32)), {}, 0, "")) for one in (Condition(), *conditions)
    ]


def test_intervals_are_of_the_bootstrap_over_clips_or_what_they_were_cut_from() -> None:
    random = np.random.default_rng(2)
    scores = random.random((30, 3)).astype(np.float32)
    truth = np.eye(3, dtype=bool)[random.integers(3, size=30)]
    utterances = [Utterance(f"c{n}", f"r{n // 5}", LABELS[held.argmax()], 1.0) for n, held in enumerate(truth)]
    for unit, groups in (("utterance", None), ("speaker", [one.speaker for one in utterances])):
        result = summarise(
            utterances, cells(scores, Condition("car", 0.0)), LABELS, bootstrap_unit=unit, bootstrap_samples=200, seed=7
        )
        for metric in ("accuracy", "mean_average_precision"):
            share = getattr(result.clean, metric)
            expected = bootstrap(scores, truth, metric, groups=groups, samples=200, seed=7)  # type: ignore[arg-type]
            assert share.ci == [expected.low, expected.high]
            assert share.value == pytest.approx(getattr(score(scores, truth), metric))
            assert getattr(result.averages["all"], metric).ci == share.ci, "the same resamples serve all cells"


def test_a_clip_that_the_tagger_fails_on_is_wrong_and_named() -> None:
    truth = np.eye(3, dtype=bool)
    answers = [np.array([3.0, 1, 2]), Failure("too loud"), np.array([-1.0, -2, 5])]
    cell = _cell(truth, Hearing(Condition(), answers, {"c1": "too loud"}, 0, ""))
    found = summarise([Utterance(f"c{n}", f"c{n}", LABELS[n], 1.0) for n in range(3)], [cell], LABELS)
    assert found.clean.accuracy is not None and found.clean.accuracy.value == pytest.approx(2 / 3)
    assert found.per_clip.right == {"clean": [1, 0, 1]}
    assert found.clean.failures == 1 and found.reasons == {"clean": {"c1": "too loud"}}
    assert found.clean.mean_average_precision.value == pytest.approx((1 + 1 / 3 + 1) / 3), "last of the three"


def test_an_interrupted_run_goes_on_and_gives_the_same(clips: Path, noise: Path, tmp_path: Path) -> None:
    heard = 0

    def tired(waveforms: list[Waveform]) -> list[NDArray[np.float64]]:
        nonlocal heard
        heard += len(waveforms)
        if heard == 18:
            raise KeyboardInterrupt
        return loudness(waveforms)

    partial = tmp_path / "partial"
    with pytest.raises(KeyboardInterrupt):
        evaluate_tagger(str(clips), named(tired), str(noise), SNRS, partial=partial)
    assert len(partial.read_text().splitlines()) == 3
    result = evaluate_tagger(str(clips), named(tired), str(noise), SNRS, partial=partial)
    assert heard == 18 + 18, "two cells were kept"
    assert result == evaluate_tagger(str(clips), named(), str(noise), SNRS)
    result.save(tmp_path / "grid.json")
    loaded = TaggingResult.load(tmp_path / "grid.json")
    assert loaded.per_clip == result.per_clip and loaded.cells[0].mixture_sha256 == result.cells[0].mixture_sha256
    assert loaded.without_transcripts().per_clip.best is None


def test_clips_of_several_labels_have_no_accuracy_and_unknown_labels_are_skipped(clips: Path, tmp_path: Path) -> None:
    lines = ["path\tsounds", "c0.flac\tlow;high", "c1.flac\tmiddle", "c2.flac\tdog", "c3.flac\t", "c4.flac\tmiddle"]
    (clips / "several.tsv").write_text("\n".join(lines) + "\n")
    result = evaluate_tagger(str(clips / "several.tsv"), named(), label_column="sounds")
    assert result.clean.accuracy is None and result.clips == 3 and not result.cells
    assert [one.id for one in result.skipped] == ["c2", "c3"]
    assert "has 'dog'" in result.skipped[0].reason and "has none" in result.skipped[1].reason
    with pytest.raises(EvaluationError, match="must hold a readable utterance"):
        evaluate_tagger(str(clips / "several.tsv"), named(), label_column="nothing")
    with pytest.raises(EvaluationError, match="`bootstrap_unit` must be"):
        evaluate_tagger(str(clips), named(), bootstrap_unit="fold")


def test_degradations_and_tables(clips: Path) -> None:
    result = evaluate_tagger(str(clips), named(), levels={"clip": [6.0, 24.0]})
    assert result.axis == "level" and list(result.averages) == ["clip"]
    text = markdown(result)
    assert "| degradation | level | accuracy (%) |" in text and "| clip | 24 dB |" in text
    assert "| degradation | level | mAP (%) |" in text and "tabular" in latex(result)
