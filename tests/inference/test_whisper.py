"""A Whisper as a recogniser: company, silence, windows, alternatives, hotwords, public folders, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

import noisewise
from noisewise.checkpoints import model_folder
from noisewise.decoding.config import DecodingConfig
from noisewise.errors import ConfigError, ModelError
from noisewise.inference.recogniser import Recogniser
from noisewise.text.tokenizer import CharacterTokenizer
from tests.models.whisper import small, tokens

LETTERS = CharacterTokenizer()


def sound(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise whose colour changes, so that a random model says different things of it."""
    noise = torch.randn(int(seconds * 16_000), generator=torch.Generator().manual_seed(seed)).numpy()
    pitch = np.sin(np.arange(len(noise)) ** 1.2 / (3 + seed)) + 0.3 * noise
    return (0.2 * pitch).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, as training writes it."""
    model = small.ours(vocabulary=30, trail_seconds=0.2)
    place = tmp_path_factory.mktemp("models") / "whisper"
    pieces = tokens.tokenizer()
    return model_folder.save(place, model, model.config, LETTERS, card="# A test\n", pieces=pieces)


@pytest.fixture(scope="module")
def recogniser(folder: Path) -> Recogniser:
    return noisewise.load(folder)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as transformers writes it."""
    place = tmp_path_factory.mktemp("public")
    small.theirs().save_pretrained(place)
    (place / "tokenizer.json").write_text(json.dumps(tokens.values()))
    return place


def test_neither_company_nor_batches_change_a_transcript(recogniser: Recogniser) -> None:
    waves = [sound(seconds, seed) for seed, seconds in enumerate((0.7, 1.5, 1.1, 0.4))]
    alone = [recogniser.transcribe(each) for each in waves]
    together = recogniser.transcribe(waves)
    assert [each.text for each in together] == [each.text for each in alone]
    assert len({each.text for each in alone}) > 1 and all(each.text for each in alone)
    for one, other in zip(together, alone, strict=True):
        assert [word.start for word in one.words] == pytest.approx([word.start for word in other.words])
        assert one.confidence == pytest.approx(other.confidence, abs=1e-3)


def test_silence_around_changes_no_transcript(recogniser: Recogniser) -> None:
    zeros = np.zeros(16_000, np.float32)
    one, other = (
        recogniser.transcribe(np.concatenate((zeros[:4800], sound(1.2), zeros[:4800]))),
        recogniser.transcribe(np.concatenate((zeros, sound(1.2), zeros, zeros))),
    )
    assert one.text == other.text
    shifted = [word.start - one.words[0].start for word in one.words]
    assert [word.start - other.words[0].start for word in other.words] == pytest.approx(shifted)
    assert other.words[0].start - one.words[0].start == pytest.approx(0.7, abs=0.021)


def test_long_recordings_are_windows_that_end_in_pauses(recogniser: Recogniser) -> None:
    parts = [sound(1.0, seed) for seed in range(3)]
    pause = np.random.default_rng(0).normal(0, 0.003, 6400).astype(np.float32)
    whole = np.concatenate([each for part in parts for each in (part, pause)])
    found = recogniser.transcribe(whole, window_seconds=2.6)
    assert found.duration == pytest.approx(4.2)
    assert found.words == sorted(found.words, key=lambda word: word.start)
    assert max(word.end for word in found.words) <= 4.2 + 1e-6
    assert found.text.startswith(recogniser.transcribe(whole[: 2 * 22_400 - 3200], window_seconds=2.9).text[:3])


def test_windows_are_shorter_where_no_silence_fills_them(recogniser: Recogniser, public: Path) -> None:
    assert recogniser.window_seconds == 15.0
    assert noisewise.load(public).window_seconds == 30.0


def test_channels_keep_their_numbers_and_failures_their_reasons(recogniser: Recogniser, tmp_path: Path) -> None:
    both = np.stack((sound(0.8), sound(0.8, 1)), axis=1)
    soundfile.write(tmp_path / "two.wav", both, 16_000)
    found = recogniser.transcribe_channels(tmp_path / "two.wav")
    assert [(each.channel, each.truncated) for each in found] == [(1, False), (2, False)]
    (failed,) = recogniser.transcribe([np.zeros(16_000, np.float32)])
    assert failed.reason == "silent"


def test_alternatives_are_other_texts(recogniser: Recogniser) -> None:
    found = recogniser.transcribe(sound(1.0), beam=4, nbest=3)
    texts = [found.text, *(each.text for each in found.alternatives)]
    assert len(set(texts)) == len(texts) > 1
    scores = [each.score for each in found.alternatives]
    assert scores == sorted(scores, reverse=True)


def test_a_head_aligns(recogniser: Recogniser) -> None:
    ((_, found),) = recogniser.align([(sound(1.0), "go home")])
    assert [word.text for word in found.words] == ["go", "home"]


def test_a_public_folder_writes_without_a_head(public: Path) -> None:
    recogniser = noisewise.load(public)
    found = recogniser.transcribe(sound(1.0))
    assert found.text and found.words[0].start == 0.0
    assert recogniser.transcribe(sound(1.0), hotwords=["Noisewise"]).text
    with pytest.raises(ModelError, match="must have a CTC head"):
        list(recogniser.align([(sound(1.0), "go")]))


def test_what_no_decoder_of_whisper_takes_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("GO\n")
    with pytest.raises(ConfigError, match=r"^`lexicon` must be left out for a Whisper.*or a CTC model$"):
        noisewise.load(folder, lexicon=tmp_path / "words.txt")
    with pytest.raises(ConfigError, match="`decoding` must have `whisper`"):
        noisewise.load(folder, decoding=DecodingConfig())
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    with pytest.raises(ModelError, match="must be the tokenizer of a Whisper"):
        noisewise.load(folder)
    (tmp_path / "tokenizer.json").rename(folder / "tokenizer.json")
