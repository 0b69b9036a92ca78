"""Log-mel of Whisper: the values of transformers' extractor, whatever stands in the padding or beside an utterance."""

import numpy as np
import pytest
import torch

from noisewise.models.whisper.front_end import LONGEST, log_mel, mel_bands


@pytest.mark.parametrize("mels", [80, 128])
def test_equals_the_extractor_of_transformers_on_30_seconds(mels: int) -> None:
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels)
    np.testing.assert_allclose(mel_bands(mels), extractor.mel_filters, atol=1e-7)
    torch.manual_seed(0)
    for samples in (LONGEST, LONGEST - 10, 12_345, 150):
        waveform = torch.randn(samples) * torch.linspace(0, 0.3, samples)  # loudest at its end
        made = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="np").input_features[0]
        features, counts = log_mel(waveform[None], torch.tensor([samples]), mels)
        assert counts.tolist() == [-(-samples // 160)]
        np.testing.assert_allclose(features[0], made[:, : int(counts[0])], atol=1e-4, rtol=0)


def test_neither_padding_nor_company_changes_an_utterance() -> None:
    torch.manual_seed(0)
    waveform = torch.full((3, 40_000), float("nan"))
    lengths = [20_001, 40_000, 90]
    for row, samples in enumerate(lengths):
        waveform[row, :samples] = torch.randn(samples) * 10.0**-row
    features, counts = log_mel(waveform, torch.tensor(lengths))
    for row, samples in enumerate(lengths):
        alone, count = log_mel(waveform[row : row + 1, :samples], torch.tensor([samples]))
        torch.testing.assert_close(features[row, :, : int(count)], alone[0], atol=1e-5, rtol=0)
        assert int(counts[row]) == int(count) and not features[row, :, int(count) :].any()


def test_silence_and_nothing_are_finite() -> None:
    features, counts = log_mel(torch.zeros(2, 3_200), torch.tensor([3_200, 0]))
    assert counts.tolist() == [20, 0]
    torch.testing.assert_close(features[0], torch.full((80, 20), -1.5))  # log10(1e-10) = -10, plus 4, over 4
    assert not features[1].any()
    assert log_mel(torch.zeros(1, 0), torch.tensor([0]))[0].shape == (1, 80, 0)
