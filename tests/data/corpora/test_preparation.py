"""The record of a prepared corpus, whatever the corpus is."""

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from noisewise.data.corpora import preparation
from noisewise.data.corpora.preparation import (
    RECORD,
    REJECTED,
    Part,
    Preparation,
    Rejected,
    fingerprint,
    in_order,
    usable,
    write_cuts,
)
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.read import read
from noisewise.errors import AudioError, DataError
from noisewise.files import replaced, sha256_of
from tests.test_files import limited_files


def test_items_are_taken_no_faster_than_results() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = in_order(lambda item: -item, items(), 2)
    assert [next(results) for _ in range(3)] == [0, -1, -2]
    assert len(taken) < 20
    assert list(results) == [-item for item in range(3, 1000)]


@pytest.fixture
def cuts(tmp_path: Path, save: object) -> list[Cut]:
    """Three recordings of half a second."""
    paths = [save(tmp_path / f"in/{index}.wav", 0.5, seed=index) for index in range(3)]
    return [Cut(path.stem, str(path), 0.5, recording_seconds=0.5) for path in paths]


def test_a_finished_part_is_kept_and_not_made_again(cuts: list[Cut], tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = Preparation(out, "c").part("a", "1", lambda: cuts)
    assert (made.file, made.utterances, made.seconds, made.fresh) == ("cuts_a.jsonl.gz", 3, 1.5, True)
    assert made.sha256 == sha256_of(out / made.file)

    def never() -> list[Cut]:
        raise AssertionError("it is there")

    assert Preparation(out, "c").part("a", "1", never) == Part(**{**vars(made), "fresh": False})
    assert Preparation(out, "c").part("a", "2", lambda: cuts[:2]).utterances == 2


def test_rejected_entries_are_listed_with_their_part(cuts: list[Cut], tmp_path: Path) -> None:
    bad = Rejected("x.wav", "missing", "`x.wav` must be there")
    preparation = Preparation(tmp_path / "out", "c")
    preparation.part("a", "1", lambda: [cuts[0], bad])
    preparation.part("b", "1", lambda: cuts)
    (line,) = (tmp_path / "out" / REJECTED).read_text().splitlines()
    assert json.loads(line) == {"part": "a", **vars(bad)}
    with pytest.raises(DataError, match=r"part 'c' of c must have a usable entry.*must be there"):
        preparation.part("c", "1", lambda: [bad])
    assert not (tmp_path / "out/cuts_c.jsonl.gz").exists()
    assert list(json.loads((tmp_path / "out" / RECORD).read_text())["parts"]) == ["a", "b"]


def test_a_folder_of_another_corpus_or_with_other_facts_is_refused(tmp_path: Path) -> None:
    Preparation(tmp_path, "c", {"seed": 1})
    Preparation(tmp_path, "c", {"seed": 1})
    for corpus, facts in (("d", {"seed": 1}), ("c", {"seed": 2})):
        with pytest.raises(DataError, match="choose another folder"):
            Preparation(tmp_path, corpus, facts)


def test_paths_below_the_folder_are_relative_to_it(cuts: list[Cut], tmp_path: Path) -> None:
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    digest = write_cuts(tmp_path / "in/deeper/cuts.jsonl.gz", cuts)
    assert digest == sha256_of(tmp_path / "in/deeper/cuts.jsonl.gz")
    assert [cut.path for cut in read(tmp_path / "cuts.jsonl.gz")] == [cut.path for cut in cuts]
    assert b'"in/0.wav"' in gzip.decompress((tmp_path / "cuts.jsonl.gz").read_bytes())
    assert cuts[0].path.encode() in gzip.decompress((tmp_path / "in/deeper/cuts.jsonl.gz").read_bytes())


def test_an_entry_is_tested_by_decoding_it(cuts: list[Cut]) -> None:
    assert usable(cuts[0]) is cuts[0]
    Path(cuts[1].path).write_bytes(b"")
    found = usable(cuts[1])
    assert isinstance(found, Rejected) and (found.path, found.reason) == (cuts[1].path, "empty")


def test_a_lack_of_memory_does_not_reject_an_entry(cuts: list[Cut], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(cut: Cut) -> None:
        raise AudioError("`a` must be audio") from MemoryError()

    monkeypatch.setattr(preparation, "load_audio", fail)
    with pytest.raises(MemoryError):
        usable(cuts[0])


def test_a_full_disk_leaves_the_record_and_the_same_call_goes_on(cuts: list[Cut], tmp_path: Path) -> None:
    out = tmp_path / "out"
    Preparation(out, "x").part("a", "1", lambda: cuts[:1])
    many = [replace(cut, text="NO " * 1000 + str(turn)) for turn, cut in enumerate(cuts * 40)]
    many = [replace(cut, text="".join(f"{turn * 7919 % 104729} {cut.text}")) for turn, cut in enumerate(many)]
    with limited_files(900), pytest.raises(OSError, match="File too large") as caught:
        Preparation(out, "x").part("b", "1", lambda: many)
    assert str(caught.value.filename) == str(out / "cuts_b.jsonl.gz")
    assert sorted(path.name for path in out.iterdir()) == ["cuts_a.jsonl.gz", RECORD]
    assert not Preparation(out, "x").part("a", "1", lambda: cuts).fresh
    assert Preparation(out, "x").part("b", "1", lambda: many).utterances == len(many)


def test_what_a_killed_run_left_is_removed(cuts: list[Cut], tmp_path: Path) -> None:
    process = os.fork()
    if process == 0:
        with replaced(tmp_path / "out" / "clips" / "a.flac"):
            os._exit(9)
    os.waitpid(process, 0)
    assert len(list((tmp_path / "out" / "clips").iterdir())) == 1
    Preparation(tmp_path / "out", "x")
    assert not list((tmp_path / "out" / "clips").iterdir())


def test_a_fingerprint_changes_with_any_value() -> None:
    values = [("a", 1), ("a", 2), ("b", 1), (Path("a"), 1), ({"y": 1, "x": 2},)]
    assert len({fingerprint(*each) for each in values}) == 4  # a path is its name
    assert fingerprint({"y": 1, "x": 2}) == fingerprint({"x": 2, "y": 1})


@pytest.mark.parametrize(
    "parts",
    [3, [], {"": 1}, {"": {"file": 1.5}}, {"": {"file": "a", "rejected": [1]}}],
)
def test_a_record_of_other_types_is_refused(parts: object, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(json.dumps({"corpus": "x", "facts": {}, "parts": parts}))
    with pytest.raises(DataError, match="must be a record"):
        Preparation(tmp_path, "x")
