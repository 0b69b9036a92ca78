"""Suites: conditions, recordings of the user, and scores counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from noisewise.audio.mix import snr_db
from noisewise.audio.waveform import SAMPLE_RATE, save
from noisewise.errors import ConfigError, EvaluationError
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.degradation_scores import groups_of
from noisewise.evaluation.evaluate import evaluate
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.suites import FULL, LITE, Suite, binned
from noisewise.evaluation.systems.protocol import Waveform


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite")
    random = np.random.default_rng(0)
    for name in ("u", "rain", "tune", "talk"):
        save(path / f"{name}.flac", (0.05 * random.standard_normal(SAMPLE_RATE)).astype(np.float32))
    lines = ["path\tlabel", "rain.flac\train", "tune.flac\tmusic", "talk.flac\tspeech"]
    (path / "noise.tsv").write_text("\n".join(lines) + "\n")
    rooms = ["path\tlabel"]
    for number, seconds in enumerate((0.2, 0.3, 0.9, 1.0)):
        tail = random.standard_normal(SAMPLE_RATE) * 10 ** (-3 * np.arange(SAMPLE_RATE) / (SAMPLE_RATE * seconds))
        save(path / f"room{number}.flac", (0.1 * tail).clip(-1, 1).astype(np.float32))
        rooms.append(f"room{number}.flac\trir")
    (path / "rir.tsv").write_text("\n".join(rooms) + "\n")
    (path / "speech.tsv").write_text("path\ttext\nu.flac\tYES NO\n")
    return path


def test_a_lite_suite_needs_nothing(folder: Path) -> None:
    given: list[int] = []

    def transcribe(waveforms: list[Waveform]) -> list[str]:
        given.extend(len(waveform) for waveform in waveforms)
        return ["YES NO" if len(given) == 1 else "YES"]

    config = GridConfig(manifest=str(folder / "speech.tsv"), suite="srb-lite", bootstrap_samples=5)
    result = evaluate(transcribe, config)
    assert len(result.cells) == 4 * len(LITE) and result.degradations == list(LITE)
    assert groups_of(result)["special effects"][0] == "srb_speedup@1.25"
    assert result.werd["all"].value == 0.5 == result.werd["srb_echo@125"].value
    assert len({row.mixture_sha256 for row in result.rows.values()}) == 1 + 4 * len(LITE)
    assert GridResult.parse(result.plain()) == result


def test_recordings_of_the_user_take_the_place_of_corpora(folder: Path) -> None:
    config = GridConfig(manifest="", suite="srb", noise=str(folder / "noise.tsv"), rir=str(folder / "rir.tsv"))
    suite = Suite.of(config)
    axes = list(dict.fromkeys(one.name for one in suite.conditions))
    assert set(axes) == {*FULL, "srb_env_noise", "srb_music", "srb_crosstalk", "srb_rir"}
    assert suite.by_axis == {"srb_env_noise": ["rain"], "srb_music": ["music"], "srb_crosstalk": ["speech"]}
    clean = (0.1 * np.random.default_rng(1).standard_normal(4000)).astype(np.float32)
    (music,) = (one for one in suite.conditions if one.key == "srb_music@10")
    assert snr_db(clean, suite.changed("u", music, clean).astype(np.float64) - clean) == pytest.approx(10, abs=0.01)
    rooms = [one for one in suite.conditions if one.name == "srb_rir"]
    assert [one.value for one in rooms] == [1.0, 4.0], "no room lies in the two bins between"
    wet = suite.changed("u", rooms[1], clean)
    assert len(wet) > len(clean) and np.array_equal(wet, suite.changed("u", rooms[1], clean))


def test_bins_of_reverberation_time() -> None:
    def response(seconds: float) -> Waveform:
        return (10 ** (-3 * np.arange(2 * SAMPLE_RATE) / (SAMPLE_RATE * seconds))).astype(np.float32)

    found = binned([response(seconds) for seconds in (0.2, 1.0, 0.45, 0.65)])
    assert [len(each) for each in found] == [1, 1, 1, 1]
    assert len(found[0][0]) == 2 * SAMPLE_RATE - 160, "the first 10 ms are cut off"
    with pytest.raises(EvaluationError, match="longer than 10 ms"):
        binned([np.ones(100, np.float32)])


def test_what_does_not_go_together_is_refused() -> None:
    for options in ({"levels": {"clip": [6.0]}, "suite": "srb"}, {"noise": "n", "suite": "srb-lite"}, {"rir": "r"}):
        with pytest.raises(ConfigError):
            GridConfig(manifest="", **options)  # type: ignore[arg-type]
