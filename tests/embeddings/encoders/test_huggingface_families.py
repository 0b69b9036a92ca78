"""Which frames of an output are the clip's own, family by family, on outputs made by hand."""

from types import SimpleNamespace

import pytest
import torch

from noisewise.embeddings.encoders import huggingface_families as families


def config(kind: str, **values: object) -> SimpleNamespace:
    return SimpleNamespace(model_type=kind, **values)


def output(frames: int, width: int = 2, **values: object) -> SimpleNamespace:
    """Two clips; frame f of the second holds f."""
    hidden = torch.arange(float(frames))[None, :, None].expand(2, frames, width).clone()
    hidden[0] = -1
    return SimpleNamespace(last_hidden_state=hidden, **values)


def test_the_longest_input_is_the_extractors() -> None:
    extractor = SimpleNamespace(max_length=1024, nb_max_samples=480_000)
    assert families.window("audio-spectrogram-transformer", extractor) == 1023 * 160 + 400
    assert families.window("clap_audio_model", extractor) == 480_000
    assert families.window("hubert", extractor) is None


def test_padding_that_the_mask_shows_is_left_out() -> None:
    mask = torch.tensor([1, 1, 1, 0, 0])
    found = families.encoding(config("wav2vec2-bert"), output(5), 1, 999, None, mask)
    assert found.frames is not None and found.frames[:, 0].tolist() == [0, 1, 2]
    in_samples = torch.ones(16_000)
    found = families.encoding(config("wav2vec2"), output(5), 1, 16_000, None, in_samples)
    assert found.frames is not None and len(found.frames) == 5
    pooled = output(5, pooler_output=torch.tensor([[1.0], [2.0]]))
    found = families.encoding(config("other"), pooled, 1, 999, None, None)
    assert found.pooler is not None and found.pooler.tolist() == [2.0]


def test_ast_averages_the_bands_of_the_times_that_are_the_clips() -> None:
    settings = config("audio-spectrogram-transformer", max_length=64, patch_size=16, time_stride=16)
    bands, times = 3, 4
    given = output(2 + bands * times, pooler_output=torch.zeros(2, 2))
    found = families.encoding(settings, given, 1, 400 + 31 * 160, None, None)  # 32 frames: two times of 16
    assert found.frames is not None and found.cls is not None and found.cls.tolist() == [0, 0]
    assert found.frames[:, 0].tolist() == [2 + 4, 3 + 4]  # means of 2, 6, 10 and of 3, 7, 11


def test_clap_keeps_the_first_copy_of_a_repeated_clip_and_a_vector_of_length_1() -> None:
    hidden = torch.arange(8.0).expand(2, 5, 3, 8)  # (B, D, M, T)
    given = SimpleNamespace(last_hidden_state=hidden, audio_embeds=torch.tensor([[0.0, 1.0], [3.0, 4.0]]))
    found = families.encoding(config("clap_audio_model"), given, 1, 120_000, 480_000, None)
    assert found.frames is not None and found.frames.shape == (2, 5) and found.frames[:, 0].tolist() == [0, 1]
    assert found.pooler is not None and found.pooler.tolist() == pytest.approx([0.6, 0.8])


def test_a_model_with_a_decoder_gives_its_encoder() -> None:
    whole = SimpleNamespace(config=config("whisper", is_encoder_decoder=True), get_encoder=lambda: "encoder")
    assert families.encoder_of(whole) == "encoder"
    alone = SimpleNamespace(config=config("hubert"))
    assert families.encoder_of(alone) is alone
