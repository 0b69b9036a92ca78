"""Recordings through any recogniser to transcripts."""

from dataclasses import replace

import numpy as np
import pytest

from noisewise.decoding.hypothesis import Segment, Word
from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Timed, Waveform
from noisewise.evaluation.systems.transcriber import SystemTranscriber


def noise(seconds: float, seed: int = 0) -> Waveform:
    return np.random.default_rng(seed).normal(0, 0.1, round(16_000 * seconds)).astype(np.float32)


def lengths(waveforms: list[Waveform]) -> list[str]:
    return [f"{len(each) / 16_000:g}" for each in waveforms]


def halves(waveforms: list[Waveform]) -> list[Timed | Failure]:
    def one(waveform: Waveform) -> Timed:
        half = len(waveform) / 32_000
        words = [Word("one", 0.0, half, 0.9), Word("two", half, 2 * half, 0.5)]
        return Timed("one two", words, [Segment("one two", 0.0, 2 * half)])

    return [Failure("no") if len(each) == 8000 else one(each) for each in waveforms]


PLAIN = NamedRecogniser("python:m:lengths", lengths)
TIMED = NamedRecogniser("whisper:x", lengths, times="words", with_times=halves)


def test_texts_come_with_their_recordings() -> None:
    found = dict(SystemTranscriber(PLAIN).each([noise(2.0), noise(1.0)]))
    assert [(found[place].text, found[place].duration) for place in (0, 1)] == [("2", 2.0), ("1", 1.0)]
    assert not found[0].words and not found[0].segments and found[0].confidence == 0.0


def test_words_and_segments_are_kept() -> None:
    ((_, found),) = SystemTranscriber(TIMED).each([noise(2.0)])
    assert [(word.text, word.start) for word in found.words] == [("one", 0.0), ("two", 1.0)]
    assert found.segments == [Segment("one two", 0.0, 2.0)] and found.confidence == pytest.approx(0.7)


def test_windows_end_at_pauses_and_times_go_on() -> None:
    speech = np.concatenate([noise(1.3), np.zeros(8000, np.float32), noise(1.2, 1)])
    ((_, plain),) = SystemTranscriber(PLAIN).each([speech], window_seconds=2.0)
    first = plain.segments[0].end
    assert 1.3 < first < 1.8 and plain.segments[1].start == first and plain.segments[1].end == pytest.approx(3.0)
    assert plain.text == f"{first:g} {3 - first:g}"
    ((_, timed),) = SystemTranscriber(TIMED).each([speech], window_seconds=2.0)
    assert timed.words[2].start == pytest.approx(first) and timed.words[3].end == pytest.approx(3.0)


def test_a_recording_that_fails_says_why_and_alone() -> None:
    found = dict(SystemTranscriber(TIMED).each([noise(0.5), noise(1.0), np.zeros(16_000, np.float32)]))
    assert "whisper:x failed on it: no" in str(found[0].error) and found[0].has_failed
    assert found[1].error is None and "silent" in str(found[2].error)


def test_a_function_that_raises_spoils_no_other() -> None:
    def picky(waveforms: list[Waveform]) -> list[str]:
        if any(len(each) == 8000 for each in waveforms):
            raise RuntimeError("too short")
        return lengths(waveforms)

    found = dict(SystemTranscriber(replace(PLAIN, recognise=picky)).each([noise(0.5), noise(1.0)]))
    assert "RuntimeError: too short" in str(found[0].error) and found[1].text == "1"


def test_unsure_words_are_left_out_where_it_is_asked_for() -> None:
    transcriber = SystemTranscriber(TIMED)
    transcriber.least_confidence = 0.8
    ((_, found),) = transcriber.each([noise(2.0)])
    assert (found.text, len(found.left_out)) == ("", 2)


def test_hotwords_are_refused_and_recognisers_told_apart() -> None:
    with pytest.raises(NoisewiseError, match="hotwords must be of a noisewise model"):
        list(SystemTranscriber(PLAIN).each([noise(1.0)], hotwords={"a": None}))
    assert SystemTranscriber(PLAIN).identity != SystemTranscriber(TIMED).identity
    assert SystemTranscriber(replace(PLAIN, details={"v": "2"})).identity != SystemTranscriber(PLAIN).identity
