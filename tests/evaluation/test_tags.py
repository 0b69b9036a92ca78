"""The evaluation of a tagger on tones in noise: what is counted, what survives an interruption."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisewise.audio.waveform import SAMPLE_RATE, save
from noisewise.config import parse
from noisewise.errors import EvaluationError, NoisewiseError
from noisewise.evaluation.conditions import CLEAN, Condition, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.evaluate import evaluate
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.runner import Outputs
from noisewise.evaluation.systems.protocol import Failure, Waveform
from noisewise.evaluation.systems.taggers import NamedTagger
from noisewise.evaluation.tags import ScoreCell, cell, summarise
from noisewise.evaluation.test_set import Utterance
from noisewise.reports import comparison_table
from noisewise.reports.comparison import compare
from noisewise.reports.tables import latex, markdown
from noisewise.scoring.tagging import bootstrap, score

TONES = {"low": 400, "middle": 800, "high": 1600}
LABELS = list(TONES)
SNRS = [-20.0, 20.0]


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


RUNNING = ("batch_seconds", "partial")


def run(clips: Path, noise: Path | None, tagger: NamedTagger | None = None, **options: Any) -> GridResult:
    running = {name: options.pop(name) for name in RUNNING if name in options}
    config = GridConfig(manifest=str(clips), noise=None if noise is None else str(noise), snrs_db=SNRS, **options)
    return evaluate(tagger or named(), config, **running)


def test_two_taggers_are_compared_clip_by_clip(clips: Path, noise: Path, tmp_path: Path) -> None:
    """One that never says "low" is wrong in two clips of six where there is no noise, and right in four in the hum."""

    def never_low(waveforms: list[Waveform]) -> list[NDArray[np.float64]]:
        return [scores * [0, 1, 1] for scores in loudness(waveforms)]

    for name, ask in (("a", loudness), ("b", never_low)):
        run(clips, noise, named(ask)).save(tmp_path / f"{name}.json")
    found = compare([GridResult.load(tmp_path / "a.json"), GridResult.load(tmp_path / "b.json")], ["a", "b"])
    assert found.of_taggers and found.words == found.utterances == 6
    assert found.lines["clean"].wer == pytest.approx([0, 1 / 3])
    hum = found.lines["car@-20"]
    assert hum.wer == pytest.approx([2 / 3, 1 / 3]) and (hum.pairs[0].better, hum.pairs[0].worse) == (4, 2)
    text = comparison_table.markdown(found, utterances=9)
    assert "6 clips; errors are clips whose best class is none of their labels" in text and "WER" not in text
    assert "(clips), p of" in text and "c1, car@-20: wrong to right\n  - label: middle\n  - best class: low\n" in text
    speech = GridResult.load(Path(__file__).parent.parent.parent / "results" / "an4_ctc" / "an4_44.json")
    with pytest.raises(NoisewiseError, match="must all be of recognition or all of tagging"):
        compare([GridResult.load(tmp_path / "a.json"), speech], ["a", "b"])


def test_accuracy_and_precision_by_noise_type_and_ratio(clips: Path, noise: Path) -> None:
    result = run(clips, noise)
    assert (result.items, result.groups, result.classes) == (6, 3, 3)
    assert result.noise_types == ["car", "cafe"] and result.snrs_db == [-20.0, 20.0]
    assert result.clean.accuracy == result.clean.value("mean_average_precision") == 1.0
    assert result.cell("car", -20).accuracy == pytest.approx(1 / 3), "the hum makes every clip low"
    each = result.per_item
    assert each.errors["car@-20"] == [0, 1, 1, 0, 1, 1] and each.words == [1] * 6
    assert each.hypotheses is not None and set(each.hypotheses["car@-20"]) == {"low"}
    assert each.references == ["low", "middle", "high"] * 2
    assert result.averages["car"].accuracy == pytest.approx((1 / 3 + 1) / 2)
    assert result.averages["all"].cells == 4 and result.averages["type_a"].names == ["car"]
    both = [result.cell(kind, -20).value("mean_average_precision") for kind in ("car", "cafe")]
    assert result.averages["all@-20"].value("mean_average_precision") == pytest.approx(np.mean(both))


def test_taggers_are_given_the_mixtures_of_recognisers(clips: Path, noise: Path) -> None:
    tags = run(clips, noise, seed=3, batch_seconds=0.5)
    config = GridConfig(manifest=str(clips), noise=str(noise), snrs_db=SNRS, seed=3)
    words = evaluate(lambda waveforms: ["WORD"] * len(waveforms), config)
    assert [row.mixture_sha256 for row in tags.cells] == [row.mixture_sha256 for row in words.cells]
    assert tags.clean.mixture_sha256 == words.clean.mixture_sha256
    other = run(clips, noise, seed=4)
    assert other.cell("cafe", 20).mixture_sha256 != tags.cell("cafe", 20).mixture_sha256


def cells(scores: NDArray[Any], *conditions: Condition) -> list[ScoreCell]:
    truth = np.zeros(scores.shape, bool)
    return [cell(truth, Outputs(one, list(scores.astype(np.float32)), {}, 0, "")) for one in (CLEAN, *conditions)]


def test_intervals_are_of_the_bootstrap_over_clips_or_what_they_were_cut_from() -> None:
    random = np.random.default_rng(2)
    scores = random.random((30, 3)).astype(np.float32)
    truth = np.eye(3, dtype=bool)[random.integers(3, size=30)]
    utterances = [Utterance(f"c{n}", f"r{n // 5}", LABELS[held.argmax()], 1.0) for n, held in enumerate(truth)]
    for unit, groups in (("utterance", None), ("speaker", [one.speaker for one in utterances])):
        config = parse(GridConfig, {"manifest": "", "bootstrap_unit": unit, "bootstrap_samples": 200, "seed": 7})
        result = summarise(utterances, cells(scores, in_noise("car", 0.0)), LABELS, config)
        for metric in ("accuracy", "mean_average_precision"):
            expected = bootstrap(scores, truth, metric, groups=groups, samples=200, seed=7)
            assert result.clean.ci(metric) == (expected.low, expected.high)
            assert result.clean.value(metric) == pytest.approx(getattr(score(scores, truth), metric))
            assert result.averages["all"].ci(metric) == result.clean.ci(metric), "the same resamples serve all cells"


def test_a_clip_that_the_tagger_fails_on_is_wrong_and_named() -> None:
    truth = np.eye(3, dtype=bool)
    answers: list[Any] = [np.array([3.0, 1, 2]), Failure("too loud"), np.array([-1.0, -2, 5])]
    found = cell(truth, Outputs(CLEAN, answers, {"c1": "too loud"}, 0, ""))
    clips = [Utterance(f"c{n}", f"c{n}", LABELS[n], 1.0) for n in range(3)]
    result = summarise(clips, [found], LABELS, GridConfig(manifest=""))
    assert result.clean.accuracy == pytest.approx(2 / 3)
    assert result.per_item.errors == {"clean": [0, 1, 0]}
    assert result.clean.failures == 1 and result.per_item.failures == {"clean": {"c1": "too loud"}}
    assert result.clean.value("mean_average_precision") == pytest.approx((1 + 1 / 3 + 1) / 3), "last of the three"


def test_an_interrupted_run_goes_on_and_gives_the_same(clips: Path, noise: Path, tmp_path: Path) -> None:
    processed = 0

    def tired(waveforms: list[Waveform]) -> list[NDArray[np.float64]]:
        nonlocal processed
        processed += len(waveforms)
        if processed == 18:
            raise KeyboardInterrupt
        return loudness(waveforms)

    partial = tmp_path / "partial"
    with pytest.raises(KeyboardInterrupt):
        run(clips, noise, named(tired), partial=partial)
    assert len(partial.read_text().splitlines()) == 3
    result = run(clips, noise, named(tired), partial=partial)
    assert processed == 18 + 18, "two cells were kept"
    assert result == run(clips, noise)
    result.save(tmp_path / "grid.json")
    loaded = GridResult.load(tmp_path / "grid.json")
    assert loaded.per_item == result.per_item and loaded.cells[0].mixture_sha256 == result.cells[0].mixture_sha256
    short = loaded.without_transcripts()
    assert short.per_item.hypotheses is None and short.labels_sha256 == result.labels_sha256


def test_clips_of_several_labels_have_no_accuracy_and_unknown_labels_are_skipped(clips: Path, tmp_path: Path) -> None:
    lines = ["path\tsounds", "c0.flac\tlow;high", "c1.flac\tmiddle", "c2.flac\tdog", "c3.flac\t", "c4.flac\tmiddle"]
    (clips / "several.tsv").write_text("\n".join(lines) + "\n")
    result = run(clips / "several.tsv", None, label_column="sounds")
    assert "accuracy" not in result.clean.rates and result.items == 3 and not result.cells
    assert [one.id for one in result.skipped] == ["c2", "c3"]
    assert "has 'dog'" in result.skipped[0].reason and "has none" in result.skipped[1].reason
    with pytest.raises(EvaluationError, match="must hold a readable utterance"):
        run(clips / "several.tsv", None, label_column="nothing")
    with pytest.raises(EvaluationError, match="`bootstrap_unit` must be"):
        run(clips, None, bootstrap_unit="fold")


def test_degradations_and_tables(clips: Path) -> None:
    result = run(clips, None, levels={"clip": [6.0, 24.0]})
    assert result.degradations == ["clip"] and list(result.averages) == ["clip"]
    text = markdown([result])
    assert "| degradation | level | accuracy (%) |" in text and "| clip | 24 dB |" in text
    assert "| degradation | level | mAP (%) |" in text and "tabular" in latex([result])
