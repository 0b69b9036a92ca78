"""Whole recordings decoded together say what they say alone."""

import pytest
import torch

from noisewise.decoding import recording_decoder as recordings
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.recording_decoder import RecordingDecoder, batches_of, best, normalised_hotwords
from noisewise.text.tokenizer import CharacterTokenizer

TOKENIZER = CharacterTokenizer()


def posteriors(frames: int, seed: int) -> torch.Tensor:
    """Log-probabilities that leave something to search for. (F, V)"""
    torch.manual_seed(seed)
    return (2 * torch.randn(frames, len(TOKENIZER))).log_softmax(dim=-1)


def test_together_alone_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [posteriors(frames, frames) for frames in (5, 40, 1, 23)]
    search = RecordingDecoder(TOKENIZER, DecodingConfig()).search(["no"])
    alone = [best([each], TOKENIZER, 0.04, search)[0] for each in found]
    for chunk in (1000, 7):
        monkeypatch.setattr(recordings, "CHUNK", chunk)
        for one, other in zip(best(found, TOKENIZER, 0.04, search), alone, strict=True):
            assert (one.text, one.tokens, one.words) == (other.text, other.tokens, other.words)
            assert one.score == pytest.approx(other.score)
    assert best([], TOKENIZER, 0.04, search) == []


def test_greedy_knows_no_search_but_for_hotwords() -> None:
    decoder = RecordingDecoder(TOKENIZER)
    assert decoder.search() is None
    search = decoder.search({"Anna": None, "new york": 3.0})
    assert search is not None
    assert search.config.beam == 8
    assert normalised_hotwords("caf\u00e9") == {"CAFE": None}


def test_batches_bound_the_padded_frames() -> None:
    sizes = [1, 4, 4, 5, 30, 2]
    together = list(batches_of(sizes, lambda size: size, most=12))
    assert [size for each in together for size in each] == sizes
    assert together == [[1, 4, 4], [5], [30], [2]]
    assert all(len(each) * max(each) <= 12 for each in together if len(each) > 1)
