"""Silence around and inside recordings changes no transcript: a CTC model, all kinds of per-utterance statistics."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import noisewise
from noisewise.audio import waveform
from noisewise.inference.silence import outputs_without_silence
from noisewise.models import logmel_transformer
from noisewise.models.wav2vec2 import encoder as wav2vec2
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd, WaveformFrontEnd
from noisewise.scoring.words import score
from noisewise.text.tokenizer import CharacterTokenizer

RATE = 16_000
NAMES = ("date", "enter_six_two_four", "spelled_name", "telephone_number")
RECORDINGS = [Path(noisewise.__file__).parent / "assets" / "recordings" / f"{name}.flac" for name in NAMES]
TELEPHONE = waveform.load(max(RECORDINGS, key=lambda path: path.stat().st_size))


def quiet(seconds: float, kind: str) -> np.ndarray:
    """Silence of a kind: exact zeros, rounding of 16 bits, or a room 45 dB below the loudest speech."""
    size, random = round(seconds * RATE), np.random.default_rng(0)
    if kind == "zeros":
        return np.zeros(size, np.float32)
    if kind == "rounding":
        return (random.integers(-1, 2, size) / 32768).astype(np.float32)
    return (np.abs(TELEPHONE).max() * 10 ** (-55 / 20) * random.standard_normal(size)).astype(np.float32)


@pytest.fixture(scope="module")
def an4(an4_dir: Path) -> noisewise.Recogniser:
    return noisewise.load(an4_dir)


@pytest.fixture(scope="module")
def alone(an4: noisewise.Recogniser) -> list[str]:
    return [each.text for each in an4.transcribe(RECORDINGS)]


@pytest.mark.parametrize("kind", ["zeros", "rounding", "room"])
@pytest.mark.parametrize(
    ("before", "after"), [(0.5, 0.0), (0.0, 0.5), (1.0, 1.0), (3.0, 3.0), (5.03, 0.3), (20.0, 0.0)]
)
def test_silence_around_a_recording(
    an4: noisewise.Recogniser, alone: list[str], kind: str, before: float, after: float
) -> None:
    around = [np.concatenate([quiet(before, kind), waveform.load(path), quiet(after, kind)]) for path in RECORDINGS]
    texts = [each.text for each in an4.transcribe(around)]
    if kind == "zeros":
        assert texts == alone
    wrong = score(alone, texts).words.total  # the recordings have noise of their own, which the room ends abruptly
    assert wrong <= {"zeros": 0, "rounding": 4, "room": 7}[kind], texts


@pytest.mark.parametrize("seconds", [0.4, 1.0, 7.0, 30.0])
def test_silence_between_recordings(an4: noisewise.Recogniser, alone: list[str], seconds: float) -> None:
    parts = [part for path in RECORDINGS for part in (waveform.load(path), quiet(seconds, "zeros"))]
    text = an4.transcribe(np.concatenate(parts)).text
    assert score([" ".join(alone)], [text]).words.total <= 4, text


def test_exact_zeros_of_any_length_give_the_same_words_moved(an4: noisewise.Recogniser) -> None:
    first, *others = (
        an4.transcribe(np.concatenate([quiet(before, "zeros"), TELEPHONE, quiet(after, "zeros")]))
        for before, after in ((0.64, 0.64), (1.6, 0.7), (3.21, 0.1), (4.8, 0.111))
    )
    for other, moved in zip(others, (0.96, 2.57, 4.16), strict=True):
        assert other.text == first.text
        for one, two in zip(first.words, other.words, strict=True):
            assert two.start - one.start == pytest.approx(moved, abs=0.03)


def test_a_window_of_nothing_but_zeros_is_not_given_to_the_model(an4: noisewise.Recogniser) -> None:
    (found,) = an4.log_probs([np.zeros(12 * RATE, np.float32)])
    assert found.argmax(dim=1).unique().tolist() == [an4.tokenizer.blank] and len(found) == 300


STATISTICS: dict[str, Any] = {
    "log-mel": logmel_transformer.tiny(),
    "mfcc": replace(logmel_transformer.tiny(), features="mfcc"),
    "wav2vec2 group norm": wav2vec2.tiny(),
    "wav2vec2 normalised": replace(
        wav2vec2.tiny(), front_end=WaveformFrontEnd(channels=32, norm="layer", normalise=True)
    ),
    "wav2vec2 log-mel": replace(wav2vec2.tiny(), front_end=LogMelFrontEnd(channels=32)),
}


@pytest.mark.parametrize("name", STATISTICS)
@torch.inference_mode()
def test_what_a_front_end_makes_of_speech_does_not_depend_on_the_silence_around_it(name: str) -> None:
    torch.manual_seed(0)
    encoder = STATISTICS[name].build().eval()
    speech = torch.from_numpy(TELEPHONE[: 2 * RATE])

    def front(samples: torch.Tensor) -> torch.Tensor:
        lengths = torch.tensor([len(samples)])
        if isinstance(encoder, logmel_transformer.LogMelTransformer):
            inputs: list[torch.Tensor] = []
            hook = encoder.subsampling.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
            encoder(samples[None], lengths)
            hook.remove()
            return inputs[0][0]
        return encoder.latents(samples[None], lengths)[0][0]

    alone = front(speech)
    step = 2 * RATE // len(alone)
    step = 160 if step < 200 else 320
    for before, after in product((0, 320 * 10, 320 * 200), (0, 320 * 13, 320 * 300)):
        around = torch.cat([torch.zeros(before), speech, torch.zeros(after)])
        inside = front(around)[before // step : before // step + len(alone)]
        torch.testing.assert_close(inside[3:-3], alone[3:-3], atol=0.03 * float(alone.std()), rtol=0.02)


@settings(max_examples=6, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    before=st.integers(0, 6 * RATE),
    after=st.integers(0, 6 * RATE),
    between=st.integers(RATE // 2, 6 * RATE),
)
def test_zeros_of_any_length_change_hardly_a_letter(
    an4: noisewise.Recogniser, alone: list[str], before: int, after: int, between: int
) -> None:
    """Around a recording, and between two, of lengths that are no multiple of a frame."""
    first, second = (waveform.load(path) for path in RECORDINGS[1::2])  # of which the model is sure
    gaps = [np.zeros(size, np.float32) for size in (before, between, after)]
    (one, two) = an4.transcribe(
        [np.concatenate([gaps[0], first, gaps[2]]), np.concatenate([gaps[0], first, gaps[1], second, gaps[2]])]
    )
    for expected, found in ((alone[1], one.text), (" ".join(alone[1::2]), two.text)):
        assert score([expected], [found]).characters.total <= 3


def test_parts_on_both_sides_of_long_zeros_are_given_to_the_model_apart() -> None:
    """The frames that come back are as many as those of the recording, even of a model that gives one less a part."""
    given_lengths: list[int] = []
    tokenizer = CharacterTokenizer()

    def model(parts: Sequence[np.ndarray]) -> list[torch.Tensor]:
        given_lengths.extend(map(len, parts))
        return [torch.ones(len(part) // 320 - 1, len(tokenizer)) for part in parts]

    noise = np.random.default_rng(0).normal(0, 0.1, 320 * 100).astype(np.float32)
    whole = np.concatenate([noise, quiet(2.0, "zeros"), noise, quiet(2.0, "zeros"), noise[: 320 * 20], noise])
    (found,) = outputs_without_silence([whole], model, 320, tokenizer)
    assert len(given_lengths) == 3 and len(found) == len(whole) // 320 - 1
