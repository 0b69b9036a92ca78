"""Transcripts on disk: asked once, kept through a kill, never mixed up."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.evaluate import evaluate
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.systems.cache import cached
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Output, Waveform, attempt
from tests.corpus import write_corpus

SOUNDS = [np.full(length, 0.1, dtype=np.float32) for length in range(1, 41)]


class Counting:
    """A recogniser that keeps the lengths it was asked for."""

    def __init__(self, dies_at: int | None = None, fails_at: int | None = None) -> None:
        self.asked: list[int] = []
        self.dies_at, self.fails_at = dies_at, fails_at

    def __call__(self, waveforms: list[Waveform]) -> list[Output]:
        lengths = [len(one) for one in waveforms]
        if self.dies_at in lengths:
            raise KeyboardInterrupt
        self.asked += lengths
        return [Failure("tired") if length == self.fails_at else f"É {length}" for length in lengths]


def named(recognise: Counting, **details: str) -> NamedRecogniser:
    return NamedRecogniser("python:tests:counting", recognise, details)


def test_nothing_is_asked_twice_in_the_same_or_the_next_run(tmp_path: Path) -> None:
    counting = Counting()
    front = cached(named(counting), tmp_path / "new" / "cache.jsonl")
    expected = [f"É {len(one)}" for one in SOUNDS]
    assert front.recognise(SOUNDS) == expected == front.recognise(SOUNDS)
    assert counting.asked == [len(one) for one in SOUNDS]
    later = Counting()
    assert cached(named(later), tmp_path / "new" / "cache.jsonl").recognise(SOUNDS[::-1]) == expected[::-1]
    assert later.asked == []


def test_a_killed_run_loses_at_most_one_batch(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    with pytest.raises(KeyboardInterrupt):
        cached(named(Counting(dies_at=30)), path).recognise(SOUNDS)
    assert len(path.read_text().splitlines()) == 16
    with path.open("a") as file:
        file.write('{"recogniser": "half a li')
    later = Counting()
    cached(named(later), path).recognise(SOUNDS)
    assert later.asked == list(range(17, 41))
    assert cached(named(Counting(dies_at=1)), path).recognise(SOUNDS)[39] == "É 40", "the torn line harms no other"


def test_another_recogniser_or_other_samples_are_asked(tmp_path: Path) -> None:
    path, other, changed = tmp_path / "cache.jsonl", Counting(), Counting()
    cached(named(Counting()), path).recognise(SOUNDS[:3])
    cached(named(other, weights_sha256="ff"), path).recognise(SOUNDS[:3])
    cached(named(changed), path).recognise([SOUNDS[0] * np.float32(0.999), SOUNDS[1]])
    assert other.asked == [1, 2, 3] and changed.asked == [1]


def test_failures_are_tried_again(tmp_path: Path) -> None:
    path, counting = tmp_path / "cache.jsonl", Counting(fails_at=2)
    assert cached(named(counting), path).recognise(SOUNDS[:3]) == ["É 1", Failure("tired"), "É 3"]
    later = Counting()
    assert attempt(cached(named(later), path).recognise, SOUNDS[:3]) == ["É 1", "É 2", "É 3"]
    assert later.asked == [2]


def test_what_is_no_cache_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({"format": "noisewise-grid-1"}) + "\n")
    with pytest.raises(NoisewiseError, match="must be a file of transcripts"):
        cached(named(Counting()), path)
    assert path.read_text() == '{"format": "noisewise-grid-1"}\n'


BROKEN = [
    b"\xff\xfe\n",
    b"[" * 100_000 + b"\n",
    b'{"recogniser": ' + b"9" * 5000 + b"}\n",
    b"7\n",
    b"null\n",
    b'{"text": 3}\n',
]


@pytest.mark.parametrize("broken", BROKEN, ids=["bytes", "deep", "digits", "number", "null", "types"])
@pytest.mark.parametrize("first", [True, False])
def test_lines_that_cannot_be_read_are_counted(broken: bytes, first: bool, tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    cached(named(Counting()), path).recognise(SOUNDS[:3])
    whole = path.read_bytes()
    path.write_bytes(broken + whole if first else whole + broken)
    later = Counting()
    front = cached(named(later), path)
    assert front.recognise(SOUNDS[:4]) == ["É 1", "É 2", "É 3", "É 4"] and later.asked == [4]
    assert front.cache_use is not None
    use = front.cache_use()
    assert (use.file, use.broken_lines, use.answers, use.asked) == ("cache.jsonl", 1, 3, 1)
    assert use.sha256 == hashlib.sha256(broken + whole if first else whole + broken).hexdigest()


def test_a_text_of_a_cache_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    cached(named(Counting()), path).recognise(SOUNDS[:1])
    path.write_text(path.read_text().replace("\\u00c9", "\\ud800"))
    assert cached(named(Counting()), path).recognise(SOUNDS[:1]) == ["\ufffd 1"]


def test_a_result_says_what_came_from_a_cache(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    config = GridConfig(manifest=str(tmp_path / "corpus"), bootstrap_samples=5)
    assert evaluate(named(Counting()), config).cache is None
    first = evaluate(cached(named(Counting()), tmp_path / "c.jsonl"), config).cache
    assert first is not None and (first.file, first.sha256, first.answers) == ("c.jsonl", "", 0) and first.asked > 0
    again = evaluate(cached(named(Counting()), tmp_path / "c.jsonl"), config)
    assert again.cache is not None and (again.cache.answers, again.cache.asked) == (first.asked, 0)
    again.save(tmp_path / "a.json")
    assert GridResult.load(tmp_path / "a.json").cache == again.cache
    cached_once = evaluate(cached(named(Counting()), tmp_path / "c.jsonl"), config, partial=tmp_path / "p")
    assert cached_once.cache is not None
    with pytest.raises(NoisewiseError, match="differs in cache"):
        evaluate(named(Counting()), config, partial=tmp_path / "p")
