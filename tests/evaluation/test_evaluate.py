"""An evaluation on tones in noise: what a system is given, what is counted, what survives an interruption."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.audio.mix import snr_db
from noisewise.audio.pcm import pcm16
from noisewise.audio.waveform import SAMPLE_RATE, load, save
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import NoisewiseError
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.evaluate import evaluate
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.runner import Progress
from noisewise.evaluation.systems.protocol import NamedRecogniser, Waveform
from noisewise.evaluation.test_set import Speech

TEXTS = ["ONE", "TWO WORDS", "THREE", "FOUR WORDS", "FIVE", "SIX SIX"]
TONES = [400, 600, 800, 1000, 1200, 1400]
"""Hz; the n-th text sounds at the n-th tone."""


def tone(hertz: float, seconds: float, level: float = 0.1) -> Waveform:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def transcribe(waveforms: list[Waveform]) -> list[str]:
    """The text of the loudest tone of the corpus; other sounds have no text."""
    return [_transcribe(waveform) for waveform in waveforms]


def _transcribe(waveform: Waveform) -> str:
    spectrum = np.abs(np.fft.rfft(waveform, SAMPLE_RATE))
    loudest = int(np.argmax(spectrum))
    return next((text for text, hertz in zip(TEXTS, TONES, strict=True) if abs(hertz - loudest) < 5), "")


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six utterances of two speakers, as a table."""
    folder = tmp_path_factory.mktemp("speech")
    lines = ["path\tspeaker\tsplit\ttext"]
    for index, (text, hertz) in enumerate(zip(TEXTS, TONES, strict=True)):
        save(folder / f"u{index}.flac", tone(hertz, 0.3 + 0.1 * index))
        lines.append(f"u{index}.flac\ts{index % 2}\ttest\t{text}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of types A, B and neither: car is a hum that drowns words at -6 dB and not at 20 dB."""
    folder = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    sounds = {
        "traffic": random.normal(0, 0.05, 40_000).astype(np.float32),
        "car": tone(90, 2.0),
        "babble": random.normal(0, 0.05, 3_000).astype(np.float32),
        "kitchen": random.normal(0, 0.02, 20_000).astype(np.float32),
    }
    lines = ["path\tsplit\tlabel"]
    for kind, sound in sounds.items():
        save(folder / f"{kind}.flac", np.clip(sound, -1, 1))
        lines.append(f"{kind}.flac\ttest\t{kind}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


SNRS = [-6.0, 20.0]


class Recording:
    """A recogniser that keeps what it was given."""

    def __init__(self, answer: Callable[[list[Waveform]], list[str]] = transcribe) -> None:
        self.answer = answer
        self.given: list[Waveform] = []

    def __call__(self, waveforms: list[Waveform]) -> list[str]:
        answers = self.answer(waveforms)
        self.given += [waveform.copy() for waveform in waveforms]
        return answers


RUNNING = ("batch_seconds", "partial", "progress")


def run(
    speech: Path, noise: Path | None, recognise: Callable[..., list[str]] = transcribe, **options: Any
) -> GridResult:
    named = NamedRecogniser("python:tests:transcribe", recognise)
    running = {name: options.pop(name) for name in RUNNING if name in options}
    config = GridConfig(
        manifest=str(speech), noise=None if noise is None else str(noise), **{"snrs_db": SNRS, **options}
    )
    return evaluate(named, config, **running)


def test_every_type_and_ratio_and_clean_speech(speech: Path, noise: Path) -> None:
    result = run(speech, noise)
    assert result.noise_types == ["traffic", "car", "babble", "kitchen"]
    assert [(row.condition.name, row.condition.value) for row in result.cells] == [
        (kind, snr) for kind in result.noise_types for snr in SNRS
    ]
    assert result.clean.wer == 0.0 and result.clean.counts["words"] == 9
    assert result.cell("car", 20).wer == 0.0
    assert result.cell("car", -6).wer == 1.0, "the hum must drown the tones"
    assert (result.items, result.groups) == (6, 2)
    assert result.seconds == pytest.approx(0.3 + 0.4 + 0.5 + 0.6 + 0.7 + 0.8, abs=1e-3)


def test_the_recogniser_is_given_speech_at_the_ratio_asked_for(speech: Path, noise: Path) -> None:
    recording = Recording()
    run(speech, noise, recording, types=["traffic"])
    clean = [load(speech / f"u{index}.flac") for index in range(6)]
    assert len(recording.given) == 18
    for index in range(6):
        assert np.array_equal(recording.given[index], clean[index])
        for cell, ratio in enumerate(SNRS, start=1):
            mixture = recording.given[6 * cell + index].astype(np.float64)
            assert snr_db(clean[index], mixture - clean[index]) == pytest.approx(ratio, abs=0.01)


def test_the_mixtures_do_not_depend_on_the_system_or_the_batches(speech: Path, noise: Path) -> None:
    one = run(speech, noise)
    other = run(speech, noise, lambda waveforms: ["X"] * len(waveforms), batch_seconds=0.1, types=["car", "babble"])
    for row in other.cells:
        assert row.mixture_sha256 == one.rows[row.condition.key].mixture_sha256
    assert other.clean.mixture_sha256 == one.clean.mixture_sha256
    assert len({row.mixture_sha256 for row in one.cells}) == len(one.cells)


def test_another_seed_gives_other_mixtures_of_the_same_speech(speech: Path, noise: Path) -> None:
    one, other = run(speech, noise, types=["traffic"]), run(speech, noise, types=["traffic"], seed=1)
    assert one.clean.mixture_sha256 == other.clean.mixture_sha256
    assert one.cells[0].mixture_sha256 != other.cells[0].mixture_sha256


def test_the_hash_is_over_ids_and_samples(speech: Path, noise: Path) -> None:
    recording = Recording()
    result = run(speech, noise, recording, types=["babble"])
    digest = hashlib.sha256()
    for index, waveform in enumerate(recording.given[6:12]):
        digest.update(f"u{index}".encode() + b"\0" + pcm16(waveform)[0].tobytes())
    assert result.cells[0].mixture_sha256 == digest.hexdigest()


def test_batches_are_bounded_in_seconds(speech: Path) -> None:
    sizes: list[float] = []

    def counted(waveforms: list[Waveform]) -> list[str]:
        sizes.append(sum(map(len, waveforms)) / 16_000)
        return transcribe(waveforms)

    assert run(speech, None, counted, batch_seconds=1.0).clean.wer == 0
    assert sizes == pytest.approx([0.7, 0.5, 0.6, 0.7, 0.8], abs=1e-3)


def test_without_noise_only_clean_speech_is_decoded(speech: Path) -> None:
    result = run(speech, None)
    assert result.cells == [] and result.averages == {} and result.config.noise is None
    assert result.clean.wer == 0.0


def test_a_failure_counts_as_an_empty_hypothesis_and_is_reported(speech: Path, noise: Path) -> None:
    def moody(waveforms: list[Waveform]) -> list[str]:
        if any(abs(len(waveform) - 6400) < 2 for waveform in waveforms):
            raise RuntimeError("out of tune")
        return transcribe(waveforms)

    result = run(speech, noise, moody, types=["car"])
    assert result.clean.failures == 1 and result.failures == 3
    assert [result.clean.counts[name] for name in "SDI"] == [0, 2, 0], "TWO WORDS is lost, nothing else"
    assert result.per_item.failures["clean"] == {"u1": "RuntimeError: out of tune"}
    assert set(result.per_item.failures) == {"clean", "car@-6", "car@20"}


def test_a_recogniser_that_always_fails_is_no_measurement(speech: Path, tmp_path: Path) -> None:
    def broken(waveforms: list[Waveform]) -> list[str]:
        raise OSError("no such model")

    with pytest.raises(NoisewiseError, match="failed on all of clean: OSError: no such model"):
        run(speech, None, broken, partial=tmp_path / "partial")
    assert len((tmp_path / "partial").read_text().splitlines()) == 1, "a failed cell is not kept"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["A"], "one text per waveform, 6, but returned 1"),
        ([None] * 6, "returned NoneType"),
        ("ABCDEF", "returned str"),
    ],
)
def test_a_recogniser_must_keep_to_the_protocol(speech: Path, answers: object, message: str) -> None:
    with pytest.raises(NoisewiseError, match=message):
        run(speech, None, lambda waveforms: answers)  # type: ignore[arg-type, return-value]


def test_an_interrupted_run_goes_on_at_the_first_missing_cell(speech: Path, noise: Path, tmp_path: Path) -> None:
    partial, calls = tmp_path / "partial", 0

    def impatient(waveforms: list[Waveform]) -> list[str]:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise KeyboardInterrupt
        return transcribe(waveforms)

    with pytest.raises(KeyboardInterrupt):
        run(speech, noise, impatient, partial=partial)
    with partial.open("a") as file:
        file.write('{"condition": {"kind": "noise", "name": "car", "va')  # killed while writing
    recording = Recording()
    result = run(speech, noise, recording, partial=partial)
    assert len(recording.given) == 6 * (9 - 3)
    assert result == run(speech, noise)
    assert len(run(speech, noise, recording, partial=partial).cells) == 8
    assert len(recording.given) == 6 * (9 - 3), "nothing is decoded twice"


def test_partial_results_of_another_run_are_refused(speech: Path, noise: Path, tmp_path: Path) -> None:
    run(speech, noise, partial=tmp_path / "partial", types=["car"])
    with pytest.raises(NoisewiseError, match="differs in seed; delete it"):
        run(speech, noise, partial=tmp_path / "partial", seed=1)
    with pytest.raises(NoisewiseError, match="differs in utterances"):
        run(speech, noise, partial=tmp_path / "partial", limit=3)


def test_a_grid_can_be_widened(speech: Path, noise: Path, tmp_path: Path) -> None:
    run(speech, noise, partial=tmp_path / "partial", types=["car"])
    recording = Recording()
    run(speech, noise, recording, partial=tmp_path / "partial", types=["car", "babble"])
    assert len(recording.given) == 6 * 2


def test_a_bad_file_is_left_out_of_every_cell_and_named(speech: Path, noise: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(speech, folder)
    (folder / "u2.flac").write_bytes(b"not audio at all")
    result = run(folder, noise, types=["car"])
    assert [one.id for one in result.skipped] == ["u2"]
    assert "u2.flac" in result.skipped[0].reason and str(tmp_path) not in result.skipped[0].reason
    assert result.items == 5 and result.cell("car", 20).counts["words"] == 8


def test_no_readable_utterance_is_refused(speech: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mute"
    folder.mkdir()
    shutil.copy(speech / "u0.flac", folder)
    (folder / "manifest.tsv").write_text("path\tlabel\nu0.flac\thum\n")
    with pytest.raises(NoisewiseError, match="has none"):
        run(folder, None)


def test_a_limit_is_spread_over_the_manifest(speech: Path) -> None:
    assert run(speech, None, limit=3).per_item.ids == ["u0", "u2", "u4"]
    assert run(speech, None, limit=99).items == 6
    with pytest.raises(NoisewiseError, match="at least 1"):
        run(speech, None, limit=0)


def test_what_cannot_be_scored_is_refused_before_anything_is_decoded(speech: Path, noise: Path) -> None:
    recording = Recording()
    with pytest.raises(NoisewiseError, match="`bootstrap_unit` must be auto, utterance"):
        run(speech, noise, recording, bootstrap_unit="word")
    with pytest.raises(NoisewiseError, match=r"\['rain'\] are not"):
        run(speech, noise, recording, types=["rain"])
    with pytest.raises(NoisewiseError, match="finite ratios"):
        run(speech, noise, recording, snrs_db=[float("nan")])
    assert recording.given == []


def test_progress_reaches_the_end(speech: Path, noise: Path) -> None:
    reports: list[Progress] = []
    run(speech, noise, progress=reports.append, batch_seconds=1.0)
    done = [report.done for report in reports]
    assert done == sorted(done) and done[-1] == reports[-1].total == 6 * 9


def test_the_result_names_no_folder_of_this_machine(speech: Path, noise: Path, tmp_path: Path) -> None:
    run(speech, noise).save(tmp_path / "result.json")
    text = (tmp_path / "result.json").read_text()
    assert str(speech.parent) not in text and json.loads(text)["config"]["manifest"] == speech.name
    assert json.loads(text)["per_item"]["references"] == TEXTS


def test_a_function_is_a_system_and_noise_or_degradations_are_measured(speech: Path, noise: Path) -> None:
    config = GridConfig(manifest=str(speech), levels={"clip": [12.0]})
    assert evaluate(transcribe, config).system == f"python:{__name__}:transcribe"
    with pytest.raises(NoisewiseError, match="one after the other"):
        GridConfig(manifest=str(speech), noise=str(noise), levels={"clip": [12.0]})


AN4_IN_NOISE = ("$NOISEWISE_DATA/an4#split=test", "$NOISEWISE_DATA/noise#split=test")


class Unsayable(Exception):
    """An error whose message cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError


def endless(waveforms: list[Waveform]) -> list[str]:
    return endless(waveforms)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (Unsayable(), "Unsayable, which has no message"),
        (GeneratorExit(), "GeneratorExit:"),
        (None, "RecursionError: maximum recursion depth exceeded"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad\ud800"), "UnicodeDecodeError: "),
        (RuntimeError("\x1b[2J\n" + "long " * 200), "RuntimeError: \x1b[2J long long"),
    ],
)
def test_whatever_a_recogniser_raises_is_the_failure_of_one_item(
    error: BaseException | None, reason: str, speech: Path, tmp_path: Path
) -> None:
    def strange(waveforms: list[Waveform]) -> list[str]:
        found = transcribe(waveforms)
        if "THREE" in found and error is not None:
            raise error
        return endless(waveforms) if "THREE" in found else found

    result = evaluate(strange, GridConfig(manifest=str(speech), bootstrap_samples=5))
    [(name, shown)] = result.per_item.failures["clean"].items()
    assert name == "u2" and shown.startswith(reason) and len(shown) <= 300
    result.save(tmp_path / "a.json")
    assert GridResult.load(tmp_path / "a.json").failures == 1


@pytest.mark.parametrize("text", ["ONE\ud800", "\udcff", "ONE \udfff\ud800 TWO"])
def test_a_text_that_cannot_be_encoded_does_not_end_the_grid(text: str, speech: Path, tmp_path: Path) -> None:
    result = evaluate(
        lambda waveforms: [text] * len(waveforms),
        GridConfig(manifest=str(speech), bootstrap_samples=5),
        partial=tmp_path / "p",
    )
    result.save(tmp_path / "a.json")
    kept = GridResult.load(tmp_path / "a.json").per_item.hypotheses
    assert kept is not None and set(kept["clean"]) == {
        text.replace("\ud800", "\ufffd").replace("\udcff", "\ufffd").replace("\udfff", "\ufffd")
    }


def stored_grids() -> list[Path]:
    """Results on AN4 test in noise under results/."""
    found = []
    for path in sorted((Path(__file__).parents[2] / "results").rglob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        about = values.get("config", values) if isinstance(values, dict) and "format" in values else {}
        if (about.get("manifest"), about.get("noise")) == (
            "$NOISEWISE_DATA/an4#split=test",
            "$NOISEWISE_DATA/noise#split=test",
        ):
            found.append(path)
    return found


def test_stored_results_were_measured_on_the_mixtures_of_today(data_dir: Path) -> None:
    """A change of the noise draw makes every stored grid stale; this is where it shows."""
    if not stored_grids():
        pytest.skip("no stored grid of AN4 in results/")
    speech = Speech.read(f"{data_dir}/an4#split=test")
    for path in stored_grids():
        result = GridResult.load(path)
        row = result.cells[-1]
        kind, ratio = row.condition.name, float(row.condition.value or 0)
        pool = NoisePool.load(NoiseConfig(manifest=f"{data_dir}/noise#split=test", types=[kind]), result.config.seed)
        digest = hashlib.sha256()
        for name in result.per_item.ids:
            mixture = pool.at(name, kind, ratio, speech.waveform(name))[0]
            digest.update(name.encode() + b"\0" + pcm16(mixture)[0].tobytes())
        assert row.mixture_sha256 == digest.hexdigest(), path.name
