"""What counts as sound, against recordings whose silence is known."""

import numpy as np
import pytest
import torch

from noisewise.audio import silence

RATE = 16_000
HOP = 640


def speech(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Noise of syllables: loud and soft by turns of 0.1 s, never more than 25 dB apart."""
    random = np.random.default_rng(seed)
    gains = np.repeat(10 ** random.uniform(-1.2, 0, round(10 * seconds)), RATE // 10)
    return (0.1 * gains * random.standard_normal(len(gains))).astype(np.float32)


def noise(seconds: float, db: float, seed: int = 1) -> np.ndarray:
    """White noise, `db` below full scale."""
    random = np.random.default_rng(seed)
    return (10 ** (-db / 20) * random.standard_normal(round(RATE * seconds))).astype(np.float32)


def zeros(seconds: float) -> np.ndarray:
    return np.zeros(round(RATE * seconds), np.float32)


def batch(*waveforms: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [torch.from_numpy(each) for each in waveforms]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(each) for each in rows])


def test_all_of_speech_in_noise_counts() -> None:
    for snr_db in (0, 10, 20, 30):
        noisy = np.concatenate([zeros(3), speech(), zeros(3)]) + noise(8, 20 + snr_db)
        waveform, lengths = batch(noisy.astype(np.float32))
        assert silence.sounding(waveform, lengths).all() and silence.counted_frames(waveform, lengths).all()
        kept = silence.without_silence(noisy.astype(np.float32), HOP)
        assert kept.places == [] and np.array_equal(kept.samples, noisy.astype(np.float32))


@pytest.mark.parametrize(
    ("quiet", "seconds"),
    [
        (zeros(3), silence.DEAD_PAUSE_SECONDS),
        (noise(3, 65), silence.PAUSE_SECONDS),
        (noise(3, 100), silence.DEAD_PAUSE_SECONDS),
        (zeros(3) + np.float32(0.3), silence.DEAD_PAUSE_SECONDS),
    ],
)
def test_long_silence_does_not_sound_and_its_pauses_do(quiet: np.ndarray, seconds: float) -> None:
    waveform, lengths = batch(np.concatenate([quiet, speech(2.0), quiet, speech(1.0, 2)]))
    where = silence.sounding(waveform, lengths)[0]
    pause = round(100 * seconds)
    expected = torch.zeros(900, dtype=torch.bool)
    expected[300 - pause : 500 + pause] = expected[800 - pause :] = True
    assert (where != expected).sum() <= 8  # a block to either side of each edge


def test_short_silence_is_a_pause() -> None:
    seconds = 2 * silence.PAUSE_SECONDS + silence.LEAST_SECONDS  # the noise is quiet, but not dead
    for length, expected in ((seconds - 0.1, True), (seconds + 0.1, False)):
        waveform, lengths = batch(np.concatenate([speech(), noise(length, 65), speech()]))
        assert bool(silence.sounding(waveform, lengths).all()) == expected


def test_exact_zeros_count_nowhere_however_short() -> None:
    waveform, lengths = batch(np.concatenate([speech(), zeros(0.2), speech()]))
    assert silence.sounding(waveform, lengths).all()
    assert int((~silence.counted_samples(waveform, lengths)).sum()) == 3200
    assert 18 <= int((~silence.counted_frames(waveform, lengths)).sum()) <= 22


@pytest.mark.parametrize("seconds", [0.01, 0.5, 4.0, 60.0])
def test_the_level_of_speech_is_the_same_whatever_silence_surrounds_it(seconds: float) -> None:
    alone = silence.counted_samples(*batch(speech()))[0]
    around = silence.counted_samples(*batch(np.concatenate([zeros(seconds), speech(), zeros(seconds)])))[0]
    at = round(RATE * seconds)
    assert torch.equal(around[at : at + len(alone)], alone) and not around[:at].any()


def test_a_click_is_not_the_level_of_speech() -> None:
    click = zeros(1.0)
    click[8000:8160] = 0.99
    soft = 0.02 * speech()
    counted = silence.counted_samples(*batch(np.concatenate([click, soft]).astype(np.float32)))[0]
    assert counted[RATE:].all()


def test_neither_padding_nor_the_batch_changes_what_counts() -> None:
    rows = [np.concatenate([zeros(lead), speech(seed=seed), noise(2, 80)]) for seed, lead in enumerate((0.0, 1.2, 3.0))]
    waveform, lengths = batch(*rows)
    for row, each in enumerate(rows):
        waveform[row, len(each) :] = 5.0
    for of in (silence.alive, silence.sounding, silence.counted_frames, silence.counted_samples):
        together = of(waveform, lengths)
        for row, each in enumerate(rows):
            alone = of(*batch(each))[0]
            assert torch.equal(together[row, : len(alone)], alone) and not together[row, len(alone) :].any()


def test_where_nothing_sounds_everything_counts() -> None:
    for samples in (0, 10, 399, 400, 4000):
        waveform, lengths = torch.zeros(1, samples), torch.tensor([samples])
        assert silence.counted_samples(waveform, lengths).all()
        assert silence.counted_frames(waveform, lengths).all()


@pytest.mark.parametrize("hop", [320, 640])
@pytest.mark.parametrize("value", [0.0, 0.25])
def test_constant_ends_go_to_the_sample(hop: int, value: float) -> None:
    ends = [np.full(size, value, np.float32) for size in (7_001, 12_345, 90_000)]
    found = [silence.without_silence(np.concatenate([each, speech(), each[::-1]]), hop) for each in ends]
    assert all(np.array_equal(each.samples, found[0].samples) for each in found)
    margin = round(silence.END_SECONDS * RATE)
    assert len(found[0].samples) == len(speech()) + 2 * margin
    assert found[2].places[0] == (0, round((90_000 - margin) / hop))


@pytest.mark.parametrize("hop", [320, 640, 1000])
def test_what_was_cut_comes_back_as_silence_where_it_was(hop: int) -> None:
    parts = [noise(2.3, 80), speech(1.7), noise(4.1, 90), speech(1.1, 5), noise(3, 80)]
    waveform = np.concatenate(parts)
    kept = silence.without_silence(waveform, hop)
    assert len(kept.samples) < 0.5 * len(waveform)
    steps = -(-len(waveform) // hop)
    left = [waveform[at * hop : (at + 1) * hop] for at in range(steps)]
    energies = [float(np.square(kept.samples[at : at + hop]).sum()) for at in range(0, len(kept.samples), hop)]
    restored = kept.restored(torch.tensor(energies)[:, None], torch.zeros(1), torch.zeros(1))[:, 0]
    assert len(restored) == steps
    expected = torch.tensor([float(np.square(each).sum()) for each in left])
    torch.testing.assert_close(restored, expected, atol=0.01 * float(expected.max()), rtol=0)


def test_nothing_is_left_of_nothing() -> None:
    kept = silence.without_silence(zeros(2), HOP)
    assert not len(kept.samples)
    assert kept.restored(torch.zeros(0, 3), torch.ones(3), torch.ones(3)).shape == (50, 3)


def test_a_silence_that_follows_sound_has_an_onset() -> None:
    kept = silence.Kept(zeros(0.1), [(0, 2), (3, 2), (4, 1)])
    found = kept.restored(torch.arange(1.0, 5.0)[:, None], torch.zeros(1), -torch.ones(1))
    assert found[:, 0].tolist() == [0, 0, 1, 2, 3, -1, 0, 4, -1]
