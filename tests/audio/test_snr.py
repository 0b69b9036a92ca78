"""Estimates of the SNR against the published table, the distributions they assume, and mixtures of a known ratio."""

import numpy as np
import pytest

from noisewise.audio.snr import SnrMeter, energy_snr_db, otsu, table, wada_of, wada_snr_db

PUBLISHED = {-20: 0.4097, 0: 0.4622, 10: 0.6675, 15: 0.8124, 20: 0.9566, 25: 1.0858}
"""Values of the table that Kim and Stern gave out, by SNR in dB; theirs were measured on made samples."""


def gamma(count: int, snr_db: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    speech = random.gamma(0.4, 1, count) * random.choice([-1, 1], count)
    noise = random.standard_normal(count) * np.sqrt(0.56 / 10 ** (snr_db / 10))
    return (0.1 * (speech + noise)).astype(np.float32)


def test_the_table_is_that_of_the_paper() -> None:
    found = table()
    assert len(found) == 121 and (np.diff(found) >= 0).all()
    for snr, value in PUBLISHED.items():
        assert found[snr + 20] == pytest.approx(value, abs=2e-3)
    assert found[0] == pytest.approx(np.log(2 / np.pi) / 2 + (np.euler_gamma + np.log(2)) / 2, abs=1e-3), "noise alone"


@pytest.mark.parametrize("snr_db", [0, 10, 20, 40])
def test_wada_reads_the_ratio_of_its_distributions(snr_db: float) -> None:
    found = wada_snr_db(gamma(400_000, snr_db))
    assert found == pytest.approx(snr_db, abs=0.5)
    assert wada_snr_db(np.pad(gamma(400_000, snr_db), 50_000)) == found, "exact zeros count nothing"
    assert wada_snr_db(gamma(400_000, snr_db) * np.float32(0.01)) == pytest.approx(found, abs=0.02)


def test_noise_alone_and_nothing() -> None:
    assert wada_snr_db(np.random.default_rng(0).standard_normal(50_000).astype(np.float32)) <= 0  # type: ignore[operator]
    assert wada_snr_db(np.zeros(1000, np.float32)) is None and energy_snr_db(np.zeros(1000, np.float32)) is None
    assert wada_of(9.0) == 100.0


@pytest.mark.parametrize("snr_db", [5, 15, 30])
def test_energy_reads_the_ratio_of_bursts_in_noise(snr_db: float) -> None:
    random = np.random.default_rng(0)
    speech = random.standard_normal(160_000) * (np.arange(160_000) // 16_000 % 2)
    noise = random.standard_normal(160_000) * np.sqrt(np.mean(speech**2) / 10 ** (snr_db / 10))
    assert energy_snr_db((0.1 * (speech + noise)).astype(np.float32)) == pytest.approx(snr_db, abs=0.5)


def test_blocks_change_nothing() -> None:
    waveform, meter = gamma(30_001, 12), SnrMeter(16_000)
    for block in np.array_split(waveform, 7):
        meter.add(block)
    assert meter.wada_db() == pytest.approx(wada_snr_db(waveform)) and meter.energy_db() == energy_snr_db(waveform)


def test_otsu_splits_two_classes() -> None:
    random = np.random.default_rng(1)
    values = np.concatenate([random.normal(-50, 2, 300), random.normal(-20, 4, 100)])
    found = otsu(values)
    assert found is not None and -44 < found < -30
    assert otsu(np.ones(5)) is None and otsu(np.array([1.0, 1.0, 2.0])) == 1.0
