from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from noisewise.audio.mix import snr_db
from noisewise.config import parse
from noisewise.data.embeddings.store import EmbeddingFacts, Stretch
from noisewise.data.embeddings.writer import EmbeddingWriter
from noisewise.data.loading.dataset import DataConfig, SpeechDataset
from noisewise.data.loading.sampler import BatchRequest
from noisewise.data.manifests.read import load_audio, read
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import ConfigError, DataError


def encode(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def dataset(speech: Path, noise: Path | None = None, rooms: Path | None = None, **values: object) -> SpeechDataset:
    config = parse(DataConfig, {"manifests": [str(speech)], **values})
    pool = None if noise is None else NoisePool.load(NoiseConfig(manifest=str(noise)), 0)
    return SpeechDataset(
        list(read(speech)),
        config,
        encode=encode,
        noise=pool,
        rooms=[] if rooms is None else list(read(rooms)),
    )


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """One room: the direct sound, and an echo 600 samples later."""
    room = np.zeros(1600)
    room[[100, 700]] = [1.0, 0.5]
    (tmp_path / "rooms").mkdir()
    soundfile.write(tmp_path / "rooms" / "r.wav", room, 16_000)
    return tmp_path / "rooms"


def test_a_batch_is_padded_with_zeros(speech: Path) -> None:
    made = dataset(speech)
    batch = made[BatchRequest(0, (3, 0))]
    assert batch.ids == ["train/u3", "train/u0"]
    assert batch.waveform.shape == (2, 11_200) and batch.waveform.dtype == torch.float32
    assert batch.lengths.tolist() == [11_200, 6400]
    np.testing.assert_array_equal(batch.waveform[1, :6400], load_audio(made.cuts[0]))
    assert (batch.waveform[1, 6400:] == 0).all()
    assert batch.texts == ["YES D", "YES A"]
    assert batch.tokens is not None and batch.tokens.tolist()[1] == encode("YES A")
    assert batch.token_lengths is not None and batch.token_lengths.tolist() == [5, 5]
    assert batch.clean is None and batch.skipped == []


def test_transcripts_are_normalised(speech: Path) -> None:
    table = (speech / "manifest.tsv").read_text().replace("YES A", "  yes, — a! ")
    (speech / "manifest.tsv").write_text(table)
    assert dataset(speech)[BatchRequest(0, (0,))].texts == ["YES A"]


def test_noisy_and_clean_stay_in_step_under_every_perturbation(speech: Path, noise: Path, rooms: Path) -> None:
    made = dataset(
        speech, noise, rooms, keep_clean=True, speed=[0.9, 1.1], gain_db=[-6, 6], crop_seconds=0.6,
        reverb={"manifest": "given", "probability": 1.0},
    )  # fmt: skip
    batch = made[BatchRequest(0, (5, 6, 7))]
    assert batch.clean is not None and made.noise is not None
    for row, name in enumerate(batch.ids):
        length = int(batch.lengths[row])
        assert length == 9600
        draw = made.noise.draw(0, name, length)
        assert draw is not None
        added = batch.waveform[row, :length].double().numpy() - batch.clean[row, :length].double().numpy()
        assert snr_db(batch.clean[row, :length].numpy(), added) == pytest.approx(draw.snr_db, abs=0.01)
        segment = made.noise.segment(draw, length)
        assert np.corrcoef(added, segment)[0, 1] > 0.999


def test_one_crop_to_the_shortest(speech: Path, noise: Path) -> None:
    batch = dataset(speech, noise, keep_clean=True, crop_to_shortest=True)[BatchRequest(0, (0, 8))]
    assert batch.lengths.tolist() == [6400, 6400]
    assert batch.clean is not None
    whole = load_audio(list(read(speech))[8])
    cut = batch.clean[1].numpy()
    starts = [start for start in range(len(whole) - 6400 + 1) if whole[start] == cut[0]]
    assert any(np.array_equal(whole[start : start + 6400], cut) for start in starts)


def test_perturbations_move_with_the_epoch_and_not_with_the_company(speech: Path, noise: Path) -> None:
    made = dataset(speech, noise, speed=[0.9, 1.0, 1.1], gain_db=[-6, 6])
    alone, among = made[BatchRequest(2, (4,))], made[BatchRequest(2, (1, 4, 7))]
    length = int(alone.lengths[0])
    assert int(among.lengths[1]) == length
    assert torch.equal(alone.waveform[0], among.waveform[1, :length])
    later = made[BatchRequest(3, (4,))]
    assert later.waveform.shape != alone.waveform.shape or not torch.equal(later.waveform, alone.waveform)


def test_speed_changes_the_length_and_gain_the_level(speech: Path) -> None:
    slow = dataset(speech, speed=[0.5])[BatchRequest(0, (0,))]
    assert int(slow.lengths[0]) == pytest.approx(12_800, abs=2)
    loud = dataset(speech, gain_db=[6.0, 6.0])[BatchRequest(0, (0,))]
    plain = dataset(speech)[BatchRequest(0, (0,))]
    np.testing.assert_allclose(loud.waveform, plain.waveform * 10 ** (6 / 20), rtol=1e-5)


def test_reverberation_is_heard_in_clean_and_noisy(speech: Path, rooms: Path) -> None:
    wet = dataset(speech, None, rooms, keep_clean=True, reverb={"manifest": "given", "probability": 1.0})[
        BatchRequest(0, (0,))
    ]
    dry = dataset(speech)[BatchRequest(0, (0,))]
    assert wet.clean is not None and torch.equal(wet.clean, wet.waveform)
    assert wet.waveform.shape == dry.waveform.shape and not torch.allclose(wet.waveform, dry.waveform)
    # The echo comes 600 samples after the direct sound.
    x, y = dry.waveform[0].numpy(), wet.waveform[0].numpy()
    correlation = [float(np.dot(y[shift:], x[: len(x) - shift])) for shift in (0, 300, 600)]
    assert correlation[0] > correlation[2] > 5 * abs(correlation[1])


BREAKAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "not_audio": lambda path: path.write_text("this is not audio at all, but a longer text"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
}


@pytest.mark.parametrize("reason", BREAKAGES)
def test_a_bad_file_is_dropped_and_listed(speech: Path, reason: str) -> None:
    BREAKAGES[reason](speech / "train/u1.flac")
    batch = dataset(speech)[BatchRequest(0, (0, 1, 2))]
    assert batch.ids == ["train/u0", "train/u2"]
    assert [(item.id, item.reason) for item in batch.skipped] == [("train/u1", reason)]
    assert batch.skipped[0].path.endswith("train/u1.flac")


def test_an_utterance_without_words_is_dropped_and_listed(speech: Path) -> None:
    (speech / "manifest.tsv").write_text((speech / "manifest.tsv").read_text().replace("YES B", "42 ..."))
    batch = dataset(speech)[BatchRequest(0, (0, 1))]
    assert batch.ids == ["train/u0"]
    assert [(item.id, item.reason) for item in batch.skipped] == [("train/u1", "no_text")]


def test_a_good_utterance_stands_in_for_a_batch_of_bad_ones(speech: Path) -> None:
    for index in (1, 2, 3):
        (speech / f"train/u{index}.flac").write_bytes(b"")
    batch = dataset(speech)[BatchRequest(0, (1, 2))]
    assert batch.ids == ["train/u4"]
    assert [item.id for item in batch.skipped] == ["train/u1", "train/u2"]


def test_nothing_usable_is_an_error(speech: Path) -> None:
    for path in speech.rglob("*.flac"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"usable utterance.*u1\.flac.*empty"):
        dataset(speech)[BatchRequest(0, (1, 2))]


def test_a_bad_noise_leaves_the_speech_clean_and_is_listed(speech: Path, noise: Path) -> None:
    made = dataset(speech, noise)
    for path in noise.rglob("*.wav"):
        path.write_bytes(b"")
    batch = made[BatchRequest(0, (0,))]
    np.testing.assert_array_equal(batch.waveform[0], load_audio(made.cuts[0]))
    assert [item.reason for item in batch.skipped] == ["noise_empty"]
    assert batch.skipped[0].path.endswith(".wav")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speed": [0.9, 0.0]}, "`speed` must be between 0.1 and 10"),
        ({"gain_db": [3.0]}, r"\[low, high\]"),
        ({"gain_db": [3.0, -3.0]}, r"\[low, high\]"),
        ({"crop_seconds": 0.0}, "must be positive"),
        ({"reverb": {"manifest": "x", "probability": 2.0}}, "between 0 and 1"),
    ],
)
def test_values_that_make_no_sense(speech: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataset(speech, **values)


def with_partner(speech: Path, name: str, samples: np.ndarray) -> None:
    """Write the clean partner of train/u5, and name it in the column `clean`."""
    soundfile.write(speech / "train" / name, samples, 16_000, subtype="FLOAT")
    head, *rows = (speech / "manifest.tsv").read_text().splitlines()
    rows = [f"{row}\t{name if row.startswith('train/u5.') else ''}" for row in rows]
    (speech / "manifest.tsv").write_text("\n".join([f"{head}\tclean", *rows]) + "\n")


def test_a_partner_of_the_manifest_is_the_clean_speech(speech: Path, noise: Path) -> None:
    recorded = load_audio(list(read(speech))[5])
    with_partner(speech, "c5.wav", recorded[:-100] / 2)
    values: dict[str, Any] = {
        "keep_clean": True,
        "clean_from": ["none", "clean"],
        "gain_db": [-6, 6],
        "crop_seconds": 0.3,
    }
    batch = dataset(speech, None, **values)[BatchRequest(0, (5, 6))]
    assert batch.clean is not None and batch.lengths.tolist() == [4800, 4800]
    torch.testing.assert_close(batch.waveform[0], 2 * batch.clean[0])  # one crop, one gain
    torch.testing.assert_close(batch.waveform[1], batch.clean[1])  # no partner: itself
    noisy = dataset(speech, noise, **values)[BatchRequest(0, (5, 6))]
    assert noisy.clean is not None and torch.equal(noisy.clean, batch.clean)
    assert not torch.allclose(noisy.waveform[0], batch.waveform[0])


def test_a_partner_of_another_length_is_skipped_and_an_unknown_column_refused(speech: Path) -> None:
    with_partner(speech, "c5.wav", 0.1 * np.sin(np.arange(32_000)))
    batch = dataset(speech, clean_from=["clean"])[BatchRequest(0, (5, 6))]
    assert batch.ids == ["train/u6"] and [item.reason for item in batch.skipped] == ["not_parallel"]
    with pytest.raises(ConfigError, match=r"`clean_from` must name columns"):
        dataset(speech, clean_from=["cleen"])


def store(folder: Path, speech: Path, *, frames: bool = False, leave_out: str = "") -> str:
    """A store in which the vector of the n-th recording is (n, n + 0.5), or n + 1 such frames."""
    facts = EmbeddingFacts(encoder="e", dim=2, sample_rate=16_000, level="frames" if frames else "clip")
    rows = [(cut.id, torch.tensor([n, n + 0.5])) for n, cut in enumerate(read(speech)) if cut.id != leave_out]
    made = [(name, vector.repeat(int(vector[0]) + 1, 1)) for name, vector in rows] if frames else rows
    EmbeddingWriter(folder, facts).add(made[::-1], stretches={cut.id: Stretch.of(cut) for cut in read(speech)})
    return str(folder)


def test_batches_carry_the_vectors_of_their_recordings_whatever_fails(speech: Path, tmp_path: Path) -> None:
    made = dataset(speech, embeddings={"clap": store(tmp_path / "s", speech), "ast": store(tmp_path / "t", speech)})
    (speech / "train" / "u3.flac").write_bytes(b"fLaC")
    batch = made[BatchRequest(0, (3, 0, 5))]
    assert batch.ids == ["train/u0", "train/u5"] and [item.id for item in batch.skipped] == ["train/u3"]
    assert set(batch.vectors) == {"clap", "ast"} and not batch.vector_lengths
    assert batch.vectors["clap"].tolist() == batch.vectors["ast"].tolist() == [[0, 0.5], [5, 5.5]]


def test_frames_of_another_encoder_come_with_their_lengths(speech: Path, tmp_path: Path) -> None:
    folder = store(tmp_path / "s", speech, frames=True)
    batch = dataset(speech, embeddings={"ast": folder})[BatchRequest(0, (2, 0))]
    assert batch.vectors["ast"].shape == (2, 3, 2) and batch.vector_lengths["ast"].tolist() == [3, 1]
    for changes in ({"crop_seconds": 0.3}, {"roll": True}, {"speed": [0.9, 1.1]}):
        with pytest.raises(ConfigError, match="must stay as they are"):
            dataset(speech, embeddings={"ast": folder}, **changes)


def test_a_vector_of_another_recording_is_refused(speech: Path, tmp_path: Path, save: Callable[..., Path]) -> None:
    folder = store(tmp_path / "s", speech)
    save(speech / "train" / "u3.flac", 1.5)
    text = (speech / "manifest.tsv").read_text()
    (speech / "manifest.tsv").write_text(text.replace("u3.flac\t0.7000", "u3.flac\t1.5000"))
    with pytest.raises(DataError, match=r"`train/u3` must be one recording, but is 0.7 s .* another, 1.5 s of"):
        dataset(speech, embeddings={"clap": folder})


def test_a_recording_without_a_vector_is_refused_by_name(speech: Path, tmp_path: Path) -> None:
    folder = store(tmp_path / "s", speech, leave_out="train/u3")
    with pytest.raises(DataError, match=r"`embeddings.clap` must have .* lacks 1 of \d+, the first of them 'train/u3'"):
        dataset(speech, embeddings={"clap": folder})
