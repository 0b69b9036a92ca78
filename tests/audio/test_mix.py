import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from noisewise.audio.mix import add, gain_for_snr, mix, rms, snr_db
from noisewise.errors import AudioError


def signal(seed: int, samples: int, level: float) -> np.ndarray:
    wave = np.random.default_rng(seed).standard_normal(samples)
    return (wave * level / np.sqrt(np.mean(wave**2))).astype(np.float32)


@given(
    seed=st.integers(0, 2**20),
    samples=st.integers(2, 4000),
    asked=st.floats(-30, 60),
    speech_db=st.floats(-60, 0),
    noise_db=st.floats(-75, 0),
)
@settings(max_examples=200, deadline=None)
def test_measured_snr_is_the_requested_one(
    seed: int, samples: int, asked: float, speech_db: float, noise_db: float
) -> None:
    clean = signal(seed, samples, 10 ** (speech_db / 20))
    noise = signal(seed + 1, samples, 10 ** (noise_db / 20))
    mixture = mix(clean, noise, asked)
    # Powers rather than RMS, so that the oracle does not share the formula under test.
    scaled = mixture.gain * noise.astype(np.float64)
    measured = 10 * np.log10(np.sum(clean.astype(np.float64) ** 2) / np.sum(scaled**2))
    assert abs(measured - asked) < 0.01


@given(seed=st.integers(0, 1000), asked=st.floats(-20, 40))
@settings(max_examples=50, deadline=None)
def test_snr_of_the_float32_mixture_itself(seed: int, asked: float) -> None:
    clean, noise = signal(seed, 16_000, 0.1), signal(seed + 1, 16_000, 0.003)
    noisy = mix(clean, noise, asked).noisy
    assert noisy.dtype == np.float32
    assert abs(snr_db(clean, noisy.astype(np.float64) - clean) - asked) < 0.01


def test_snr_counts_amplitudes_not_powers() -> None:
    clean = np.full(100, 0.5, dtype=np.float32)
    noise = np.full(100, 0.05, dtype=np.float32)
    assert snr_db(clean, noise) == pytest.approx(20.0, abs=1e-5)
    assert gain_for_snr(clean, noise, 20.0) == pytest.approx(1.0, abs=1e-6)
    assert gain_for_snr(clean, noise, 0.0) == pytest.approx(10.0, abs=1e-5)


def test_lower_snr_is_louder_noise() -> None:
    clean, noise = signal(0, 1000, 0.1), signal(1, 1000, 0.1)
    assert mix(clean, noise, -5).gain > mix(clean, noise, 5).gain


@pytest.mark.parametrize(("speech_db", "noise_db"), [(-20, -20), (-20, -35), (-40, -10)])
def test_compat_halves_the_ratio(speech_db: float, noise_db: float) -> None:
    clean, noise = signal(0, 4000, 10 ** (speech_db / 20)), signal(1, 4000, 10 ** (noise_db / 20))
    for asked in (0, 5, 25):
        mixture = mix(clean, noise, asked, compat=True)
        # As written in the public code, whose two levels are root mean squares.
        needed = np.sqrt(np.mean(clean.astype(np.float64) ** 2)) / 10 ** (asked / 20)
        assert mixture.gain == pytest.approx(np.sqrt(needed / np.sqrt(np.mean(noise.astype(np.float64) ** 2))))
        true = snr_db(clean, mixture.gain * noise.astype(np.float64))
        assert true == pytest.approx((asked + speech_db - noise_db) / 2, abs=1e-3)


def test_speech_is_left_as_it_is() -> None:
    clean, noise = signal(0, 1000, 0.1), signal(1, 1000, 0.1)
    mixture = mix(clean, noise, 10)
    np.testing.assert_allclose(mixture.noisy - mixture.gain * noise, clean, atol=1e-7)


def test_rms_sums_in_double_precision() -> None:
    long = np.full(3_000_000, 0.1, dtype=np.float32)
    assert rms(long) == pytest.approx(float(np.float32(0.1)), rel=1e-12)
    assert rms(long[:0]) == 0.0


def test_add_rounds_once() -> None:
    clean, noise = signal(0, 500, 0.3), signal(1, 500, 0.2)
    exact = [float(c) + 0.7 * float(n) for c, n in zip(clean, noise, strict=True)]
    assert add(clean, noise, 0.7).tolist() == [float(np.float32(value)) for value in exact]


@pytest.mark.parametrize(
    ("clean", "noise", "ratio", "message"),
    [
        (np.zeros(10), np.ones(10), 0, "`clean` must be audible"),
        (np.ones(10), np.full(10, 1e-5), 0, "`noise` must be audible"),
        (np.ones(10), np.ones(9), 0, "shape of `clean`"),
        (np.ones(10), np.full(10, np.nan), 0, "`noise` must be finite"),
        (np.full(10, np.inf), np.ones(10), 0, "`clean` must be finite"),
        (np.ones(10), np.ones(10), float("nan"), "`snr_db` must be a finite"),
        (np.ones(0), np.ones(0), 0, "`clean` must be audible"),
    ],
)
def test_what_cannot_be_mixed_is_refused(clean: np.ndarray, noise: np.ndarray, ratio: float, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        mix(clean.astype(np.float32), noise.astype(np.float32), ratio)


def test_the_gain_does_not_depend_on_the_number_of_threads() -> None:
    for seed in range(20):
        clean, noise = signal(seed, 50_000 + 977 * seed, 0.1), signal(seed + 50, 50_000 + 977 * seed, 0.01)
        gains = set()
        for threads in (1, 2, 5):
            with threadpool_limits(threads):
                gains.add(gain_for_snr(clean, noise, 5.0))
        assert len(gains) == 1
