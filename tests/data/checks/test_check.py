"""Every reason code from a file that has that fault, and from none that has not."""

import gzip
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from noisewise.data.checks.audio_stats import AudioStats, measure
from noisewise.data.checks.check import Rules, Summary, check
from noisewise.data.checks.reasons import REASONS, Finding
from noisewise.data.checks.targets import frames_needed
from noisewise.data.corpora.preparation import write_cuts
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.read import read
from noisewise.errors import DataError, Reason
from noisewise.text.subword import SubwordTokenizer
from noisewise.text.tokenizer import CharacterTokenizer


def found(*manifests: object, rules: Rules | None = None, **options: object) -> tuple[list[Finding], Summary]:
    findings: list[Finding] = []
    summary = check([str(each) for each in manifests], rules or Rules(), findings.append, **options)  # type: ignore[arg-type]
    assert summary.counts == Counter(item.reason for item in findings)
    return findings, summary


def reasons(*manifests: object, rules: Rules | None = None) -> set[tuple[str, str]]:
    return {(item.id, item.reason) for item in found(*manifests, rules=rules)[0]}


def write(folder: Path, name: str, samples: np.ndarray, rate: int = 16_000) -> None:
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / name, samples, rate, subtype="FLOAT")


def noise(seconds: float, seed: int = 0, rate: int = 16_000) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate)).clip(-4, 4)


def test_a_sound_corpus_has_no_findings(speech: Path) -> None:
    findings, summary = found(speech, workers=3)
    assert (findings, summary.entries, summary.bad) == ([], 12, 0)
    assert summary.seconds == pytest.approx(sum(0.4 + 0.1 * index for index in range(12)), abs=0.01)


def test_faults_of_audio(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    write(folder, "good.wav", noise(1.0))
    write(folder, "silent.wav", np.full(16_000, 0.3))
    broken = noise(1.0, 1)
    broken[500] = np.nan
    write(folder, "nan.wav", broken)
    clipped = noise(1.0, 2)
    clipped[::800] = 1.0  # 20 of 16,000: 0.125 %
    write(folder, "clipped.wav", clipped)
    clipped = noise(1.0, 3)
    clipped[::1600] = -1.0  # 0.0625 %
    write(folder, "peaks.wav", clipped)
    write(folder, "slow.wav", noise(1.0, 4, 8000), 8000)
    write(folder, "cut.wav", noise(1.0, 5))
    (folder / "cut.wav").write_bytes((folder / "cut.wav").read_bytes()[:9000])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "words.wav").write_text("not audio at all, but long enough to look at")
    write(folder, "long.wav", noise(2.5, 6))
    assert reasons(folder, rules=Rules(texts=False, max_seconds=2.0)) == {
        ("silent", "silent"),
        ("nan", "nan"),
        ("clipped", "clipped"),
        ("slow", "resampled"),
        ("cut", "truncated"),
        ("empty", "empty"),
        ("words", "not_audio"),
        ("long", "too_long"),
    }


def test_faults_of_transcripts(tmp_path: Path) -> None:
    texts = ["YES", "", "gate 42", "it's 5 €, naïve - Straße!", "QI", "…"]
    lines = ["path\ttext"]
    for index, text in enumerate(texts):
        write(tmp_path, f"u{index}.wav", noise(0.5, index))
        lines.append(f"u{index}.wav\t{text}")
    (tmp_path / "manifest.tsv").write_text("\n".join(lines))
    letters = [symbol for symbol in CharacterTokenizer().symbols if symbol != "Q"]
    for tokenizer in (SubwordTokenizer([*letters, "|Y"], [("|", "Y")]), CharacterTokenizer(letters)):
        findings, _ = found(tmp_path, rules=Rules(tokenizer))
        assert {(item.id, item.reason) for item in findings} == {
            ("u1", "no_text"),
            ("u2", "dropped_characters"),
            ("u3", "dropped_characters"),
            ("u4", "unknown_characters"),
            ("u5", "no_text"),
        }
    dropped = next(item.message for item in findings if item.id == "u3")
    assert dropped.startswith("5 € will be removed")


def test_ctc_needs_a_frame_for_each_token_and_for_each_repeat(tmp_path: Path) -> None:
    assert frames_needed(Rules().tokenizer.encode("HELLO ALL")) == 9 + 2
    lines = ["path\ttext"]
    for name, seconds in (("fits", 0.22), ("short", 0.2199)):  # 11 frames of 320 samples are 0.22 s
        write(tmp_path, f"{name}.wav", noise(seconds, len(name)))
        lines.append(f"{name}.wav\tHELLO ALL")
    (tmp_path / "list.tsv").write_text("\n".join(lines))
    assert reasons(tmp_path / "list.tsv") == {("short", "too_short_for_ctc")}
    assert reasons(tmp_path / "list.tsv", rules=Rules(hop=160)) == set()


@given(st.text("AB ", max_size=12))
def test_the_frames_needed_are_those_that_pytorch_needs(text: str) -> None:
    import torch

    ids = CharacterTokenizer().encode(text)
    for frames in (
        max(1, frames_needed(Rules().tokenizer.encode(text)) - 1),
        max(1, frames_needed(Rules().tokenizer.encode(text))),
    ):
        even = torch.full((frames, 1, 30), 1 / 30).log()
        lengths = torch.tensor([frames]), torch.tensor([len(ids)])
        loss = torch.nn.functional.ctc_loss(even, torch.tensor([ids]), *lengths, reduction="sum")
        assert torch.isfinite(loss) == (frames >= frames_needed(Rules().tokenizer.encode(text)))


def test_the_same_audio_twice_is_a_duplicate_in_one_split_and_a_leak_between_two(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        write(tmp_path, f"{name}.wav", noise(0.5, seed))
    (tmp_path / "again.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    soundfile.write(tmp_path / "leak.aiff", noise(0.5, 1), 16_000, subtype="FLOAT")  # other bytes, the same samples
    table = tmp_path / "list.csv"
    table.write_text(
        "path,split,text\na.wav,train,A\nb.wav,train,B\nagain.wav,train,A\nleak.aiff,test,B\nc.wav,test,C\n"
    )
    assert reasons(table) == {("again", "duplicate_audio"), ("leak", "leaked_audio")}
    parts = (f"{table}#split=train", f"{table}#split=test")
    assert reasons(*parts) == {("again", "duplicate_audio"), ("leak", "leaked_audio")}


def test_leaks_between_manifests_without_splits(tmp_path: Path) -> None:
    for folder, seed in (("one", 0), ("two", 1)):
        write(tmp_path / folder, f"{folder}.wav", noise(0.5, seed))
        write(tmp_path / folder, f"same-{folder}.wav", noise(0.5, 9))
        rows = f"{folder}.wav\tanna\tGO ON\nsame-{folder}.wav\tben\tSTOP {folder}\n"
        (tmp_path / folder / "manifest.tsv").write_text(f"path\tspeaker\ttext\n{rows}")
    findings, summary = found(tmp_path / "one", tmp_path / "two")
    assert {(item.id, item.reason) for item in findings} == {("two", "leaked_text"), ("same-two", "leaked_audio")}
    assert summary.bad == 1
    assert "'same-one' in " in next(item.message for item in findings if item.reason == "leaked_audio")


def test_ids_must_differ_across_manifests(speech: Path) -> None:
    pairs = reasons(f"{speech}#split=test", f"{speech}#split=test&speaker=s1")
    assert pairs == {(f"test/u{n}", reason) for n in (9, 11) for reason in ("duplicate_id", "duplicate_audio")}


def test_lines_that_cannot_be_read_are_findings(speech: Path) -> None:
    write_cuts(speech / "cuts.jsonl.gz", list(read(f"{speech}#split=test")))
    with (speech / "manifest.tsv").open("a") as lines:
        lines.write("too\tfew\n")
    (item,), summary = found(speech)
    assert (item.reason, item.line, summary.entries, summary.bad) == ("bad_row", 14, 13, 1)
    plain = speech / "cuts.jsonl"
    good = gzip.decompress((speech / "cuts.jsonl.gz").read_bytes()).decode().splitlines()
    plain.write_text("\n".join([good[0], '{"type": "MonoCut", "id": 3}', "{", good[1]]))
    findings, summary = found(plain)
    assert [(item.reason, item.line) for item in findings] == [("bad_row", 2), ("bad_row", 3)]
    assert summary.entries == 4


def test_a_file_that_has_changed_since_it_was_prepared(speech: Path) -> None:
    cuts = list(read(f"{speech}#split=test"))
    write_cuts(speech / "cuts.jsonl.gz", [*cuts, replace(cuts[2], id="part", start=1.0, duration=0.4)])
    soundfile.write(speech / "test/u9.flac", noise(3.0), 16_000)
    (speech / "test/u10.flac").unlink()
    soundfile.write(speech / "test/u11.flac", noise(1.2), 16_000)
    assert reasons(speech / "cuts.jsonl.gz", rules=Rules(texts=False)) == {
        ("test/u9", "wrong_duration"),
        ("test/u10", "missing"),
        ("test/u11", "wrong_duration"),
        ("part", "too_short"),
    }


def test_strict_and_ignore(tmp_path: Path) -> None:
    write(tmp_path, "slow.wav", np.sign(noise(1.0, 4, 8000)), 8000)
    assert reasons(tmp_path, rules=Rules(texts=False, ignore=frozenset({"resampled"}))) == {("slow", "clipped")}
    findings, summary = found(tmp_path, rules=Rules(texts=False, strict=True))
    assert [(item.reason, item.severity) for item in findings] == [("clipped", "error"), ("resampled", "note")]
    assert summary.bad == 1


def test_a_cache_saves_decoding_and_sees_changes(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(speech / "train/u2.flac", np.zeros(8000), 16_000)
    (speech / "train/u3.flac").write_bytes((speech / "train/u1.flac").read_bytes())
    first = found(speech, cache=tmp_path / "cache")
    calls = []

    def watched(cut: Cut, limit: float) -> AudioStats:
        calls.append(cut.id)
        return measure(cut, limit)

    monkeypatch.setattr("noisewise.data.checks.check.measure", watched)
    assert found(speech, cache=tmp_path / "cache") == first
    assert calls == []
    assert {item.reason for item in first[0]} == {"silent", "duplicate_audio"}
    soundfile.write(speech / "train/u2.flac", noise(0.7), 16_000)
    again = found(speech, cache=tmp_path / "cache")
    assert calls == ["train/u2"]
    assert {item.reason for item in again[0]} == {"duplicate_audio"}


def test_an_interrupted_check_goes_on_from_its_cache(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def killed(cut: Cut, limit: float) -> AudioStats:
        calls.append(cut.id)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return measure(cut, limit)

    monkeypatch.setattr("noisewise.data.checks.check.measure", killed)
    with pytest.raises(KeyboardInterrupt):
        found(speech, cache=tmp_path / "cache")
    found(speech, cache=tmp_path / "cache")
    assert len(calls) == 5 + 12 - 4


def test_nothing_to_check(speech: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one entry"):
        found(f"{speech}#split=dev")
    (tmp_path / "cache").write_text("something else, which must not be overwritten" * 30)
    with pytest.raises(DataError, match="must be a cache"):
        found(speech, cache=tmp_path / "cache")
    assert (tmp_path / "cache").read_text().startswith("something else")


def test_every_reason_of_the_audio_layer_has_a_severity() -> None:
    assert set(get_args(Reason)) <= REASONS.keys()
