"""Features against outside oracles: kaldi-native-fbank, and transformers' spectrogram in double precision."""

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.features import (
    FLOOR,
    MFCC,
    LogMel,
    Spectrogram,
    Waveform,
    frame_count,
    mel_bands,
    normalise_utterance,
)

Array = NDArray[np.float32]


def kaldi(samples: Array, kind: str, bins: int, sample_rate: int = 16_000) -> Array:
    """Features (F, D) of kaldi-native-fbank."""
    knf = pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank is the oracle; it is in `dev`")
    options = knf.FbankOptions() if kind == "fbank" else knf.MfccOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.samp_freq = sample_rate
    options.mel_opts.num_bins = bins
    computer = knf.OnlineFbank(options) if kind == "fbank" else knf.OnlineMfcc(options)
    computer.accept_waveform(sample_rate, (samples * np.float32(32768)).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])


def exact(samples: Array) -> NDArray[np.float64]:
    """The power spectrum (F, 257) by transformers, in double precision."""
    audio = pytest.importorskip("transformers.audio_utils", reason="transformers is an oracle; it is in `dev`")
    window = audio.window_function(400, "povey", periodic=False)
    spectrum = audio.spectrogram(
        samples.astype(np.float64) * 32768,
        window,
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        remove_dc_offset=True,
        mel_floor=0.0,
        dtype=np.float64,
    )
    return np.asarray(spectrum.T)


def one(module: torch.nn.Module, samples: Array) -> Array:
    """The feature (F, D) of one waveform."""
    features, lengths = module(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
    assert len(features[0]) == lengths[0]
    return np.asarray(features[0].numpy())


@cache
def glide(seconds: float = 1.5, seed: int = 0) -> Array:
    """A voiced-like glide with a floor of noise, rounded to 16 bits as a recording is."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    phase = 2 * np.pi * (110 * time + 40 * time**2)
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 25))
    noise = np.random.default_rng(seed).standard_normal(len(time))
    wave = 0.1 * harmonics * (0.6 + 0.4 * np.sin(7 * time)) + 0.003 * noise + 0.01
    return (np.rint(wave * 32768) / 32768).astype(np.float32)


@pytest.fixture(scope="module")
def speech(data_dir: Path) -> list[Array]:
    """Real speech: eight recordings of AN4's test set and four of read audiobooks."""
    found = []
    for corpus, count in (("an4", 8), ("librispeech_mini", 4)):
        with (data_dir / corpus / "manifest.tsv").open(encoding="utf-8") as table:
            rows = [row for row in csv.DictReader(table, delimiter="\t") if row["split"].startswith("test")]
        for row in rows[:: len(rows) // count][:count]:
            found.append(waveform.load(data_dir / corpus / row["path"])[: 5 * 16_000])
    return found


def audible(reference: Array, down_db: float = 75.0) -> NDArray[np.bool_]:
    """Bands no further than `down_db` below the loudest of their frame. (F, D)"""
    return np.asarray((reference.max(axis=1, keepdims=True) - reference) * (10 / np.log(10)) < down_db)


@pytest.mark.parametrize("bins", [23, 40, 80])
def test_logmel_is_kaldis(bins: int) -> None:
    samples = glide()
    np.testing.assert_allclose(one(LogMel(bins), samples), kaldi(samples, "fbank", bins), atol=1e-3, rtol=0)


def test_mfcc_is_kaldis() -> None:
    samples = glide()
    np.testing.assert_allclose(one(MFCC(), samples), kaldi(samples, "mfcc", 23), atol=1e-3, rtol=0)


def test_other_sample_rates_are_kaldis() -> None:
    samples = glide()
    ours = one(LogMel(23, sample_rate=8000, fft_size=256), samples)
    np.testing.assert_allclose(ours, kaldi(samples, "fbank", 23, 8000), atol=1e-3, rtol=0)


def test_logmel_of_real_speech_is_kaldis(speech: list[Array]) -> None:
    for samples in speech:
        theirs = kaldi(samples, "fbank", 80)
        difference = np.abs(one(LogMel(), samples) - theirs)
        assert difference[audible(theirs)].max() < 1e-3
        # Further down, the rounding of either single-precision transform is larger than what it measures.
        assert np.mean(difference > 1e-3) < 1e-3 and difference.max() < 0.2


def test_mfcc_of_real_speech_is_kaldis(speech: list[Array]) -> None:
    for samples in speech:
        difference = np.abs(one(MFCC(), samples) - kaldi(samples, "mfcc", 23))
        whole = audible(kaldi(samples, "fbank", 23), 65.0).all(axis=1)
        assert whole.mean() > 0.5 and difference[whole].max() < 1e-3 and difference.max() < 0.05


def test_spectrogram_is_the_exact_one(speech: list[Array]) -> None:
    for samples in (speech[0][:48_000], speech[-1][:48_000]):
        reference = np.log(np.maximum(exact(samples), FLOOR))
        difference = np.abs(one(Spectrogram(), samples) - reference)
        assert difference[audible(reference.astype(np.float32), 65.0)].max() < 1e-3


def test_spectrogram_is_exact_on_synthetic_speech() -> None:
    reference = np.log(np.maximum(exact(glide()), FLOOR))
    difference = np.abs(one(Spectrogram(), glide()) - reference)
    assert difference[audible(reference.astype(np.float32), 65.0)].max() < 1e-3


def test_energy_takes_the_first_place() -> None:
    samples = glide()
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64) * 32768, 400)[::160]
    energy = np.log(np.square(frames - frames.mean(axis=1, keepdims=True)).sum(axis=1))
    plain, with_energy = one(Spectrogram(), samples), one(Spectrogram(use_energy=True), samples)
    np.testing.assert_allclose(with_energy[:, 0], energy, atol=1e-4)
    np.testing.assert_array_equal(with_energy[:, 1:], plain[:, 1:])
    np.testing.assert_allclose(one(MFCC(), samples)[:, 0], energy, atol=1e-4)
    assert np.abs(one(MFCC(use_energy=False), samples)[:, 0] - energy).min() > 1


def test_a_tone_lights_its_own_band() -> None:
    time = np.arange(16_000) / 16_000
    for hz in (300.0, 1000.0, 4000.0):
        tone = (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)
        assert one(Spectrogram(), tone).mean(axis=0).argmax() == round(hz * 512 / 16_000)
        band = one(LogMel(), tone).mean(axis=0).argmax()
        assert mel_bands(80, 512, 16_000)[round(hz * 512 / 16_000), band] > 0.4


def test_silence_is_the_floor() -> None:
    features = one(LogMel(), np.full(1600, 0.25, np.float32))
    np.testing.assert_array_equal(features, np.float32(np.log(np.float32(FLOOR))))


@given(samples=st.integers(0, 100_000))
@settings(max_examples=100, deadline=None)
def test_frame_count_counts_whole_windows(samples: int) -> None:
    expected = sum(1 for start in range(0, samples, 160) if start + 400 <= samples)
    assert frame_count(samples) == expected
    assert frame_count(torch.tensor([samples, samples])).tolist() == [expected, expected]


MODULES: list[Callable[[], torch.nn.Module]] = [Spectrogram, LogMel, MFCC, lambda: Waveform(normalise=True)]


@pytest.mark.parametrize("make", MODULES)
@given(lengths=st.lists(st.integers(0, 9000), min_size=1, max_size=4), extra=st.integers(0, 3000))
@settings(max_examples=12, deadline=None)
def test_padding_and_batch_change_nothing(make: Callable[[], torch.nn.Module], lengths: list[int], extra: int) -> None:
    module = make()
    batch = torch.full((len(lengths), max(lengths) + extra), float("nan"))  # padding that must not leak
    for row, length in enumerate(lengths):
        batch[row, :length] = torch.from_numpy(glide(0.6, row)[:length])
    features, frames = module(batch, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, alone_frames = module(batch[row : row + 1, :length], torch.tensor([length]))
        assert alone_frames[0] == frames[row] <= features.shape[1]
        assert (features[row, frames[row] :] == 0).all()
        # an MFCC adds up bands near 20, of which the last place is 2e-6, in an order that depends on the batch
        torch.testing.assert_close(features[row, : frames[row]], alone[0, : frames[row]], atol=1e-4, rtol=0)


def test_blocks_of_frames_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = one(LogMel(), glide())
    monkeypatch.setattr("noisewise.audio.features.BLOCK_FRAMES", 7)
    np.testing.assert_allclose(one(LogMel(), glide()), whole, atol=1e-5)


@pytest.mark.parametrize("make", [LogMel, MFCC])
def test_half_precision_around_changes_nothing(make: Callable[[], torch.nn.Module]) -> None:
    samples = torch.from_numpy(glide())[None]
    lengths = torch.tensor([samples.shape[1]])
    expected = make()(samples, lengths)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(make()(samples, lengths)[0], expected, atol=0, rtol=0)
    cast = make().to(torch.bfloat16)(samples, lengths)[0]
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, expected, atol=0, rtol=0)


def test_no_weights_and_no_state() -> None:
    assert not list(MFCC().parameters()) and not MFCC().state_dict()


def test_gradients_reach_the_waveform() -> None:
    samples = torch.from_numpy(glide(0.1))[None].requires_grad_()
    LogMel()(samples, torch.tensor([1600]))[0].sum().backward()
    assert samples.grad is not None and torch.isfinite(samples.grad).all() and samples.grad.abs().sum() > 0


@given(lengths=st.lists(st.integers(2, 30), min_size=1, max_size=4), seed=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_normalised_utterances_have_mean_0_and_deviation_1(lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = 7 + 3 * torch.randn(len(lengths), 30, 5, generator=generator)
    normalised = normalise_utterance(features, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        valid = features[row, :length].double()
        expected = (valid - valid.mean(dim=0)) / torch.sqrt(valid.var(dim=0, correction=0) + 1e-5)
        torch.testing.assert_close(normalised[row, :length].double(), expected, atol=1e-4, rtol=1e-4)
        assert (normalised[row, length:] == 0).all()


def test_waveform_is_the_waveform() -> None:
    features, lengths = Waveform()(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([2]))
    assert features[0, :, 0].tolist() == [1.0, 2.0, 0.0] and lengths.tolist() == [2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: LogMel(bins=300),
        lambda: LogMel(low_hz=5000, high_hz=4000),
        lambda: MFCC(coefficients=24),
        lambda: Spectrogram(fft_size=256),
        lambda: LogMel()(torch.zeros(100), torch.tensor([100])),
        lambda: LogMel()(torch.zeros(2, 100), torch.tensor([100])),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()
