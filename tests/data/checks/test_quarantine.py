"""The list of a check, and the loader that goes by it."""

import logging
from pathlib import Path

import pytest
import soundfile

from noisewise.config import parse
from noisewise.data.checks.check import Rules, check
from noisewise.data.checks.quarantine import read_quarantine, write_quarantine
from noisewise.data.checks.reasons import Finding, Spool
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.loader import build_loader
from noisewise.errors import DataError


def finding(name: str, reason: str, severity: str = "error", line: int = 1) -> Finding:
    return Finding(name, reason, severity, "why", "list.tsv", line)  # type: ignore[arg-type]


def test_only_entries_with_errors_are_listed_once(tmp_path: Path) -> None:
    spool = Spool()
    for item in (
        finding("a", "silent"),
        finding("a", "no_text"),
        finding("b", "clipped", "warning", 2),
        finding("", "bad_row", line=3),
        finding("c", "duplicate_id", line=4),
        finding("d\ud800", "nan", line=5),
    ):
        spool.add(item)
    assert write_quarantine(tmp_path / "list", spool) == 2
    assert read_quarantine(tmp_path / "list") == {"a", "d\ud800"}
    assert '"reasons": ["silent", "no_text"]' in (tmp_path / "list").read_text()
    assert write_quarantine(tmp_path / "list", []) == 0
    assert read_quarantine(tmp_path / "list") == frozenset()


def test_training_leaves_out_what_a_check_found(
    speech: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(speech / "train/u2.flac", [0.0] * 8000, 16_000)
    soundfile.write(speech / "test/u9.flac", [0.0] * 8000, 16_000)
    spool = Spool()
    check([str(speech)], Rules(), spool.add)
    monkeypatch.setenv("NOISEWISE_TEST_LISTS", str(tmp_path))
    write_quarantine(tmp_path / "list.jsonl", spool)
    plain = {"manifests": [f"{speech}#repeat=2"], "quarantine": "$NOISEWISE_TEST_LISTS/list.jsonl", "workers": 0}
    with caplog.at_level(logging.WARNING):
        batches = list(build_loader(parse(DataConfig, plain), training=False))
    ids = {name for batch in batches for name in batch.ids}
    assert ids == {
        f"{'train' if n < 9 else 'test'}/u{n}{copy}" for n in range(12) if n not in (2, 9) for copy in ("", "~2")
    }
    assert not [item for batch in batches for item in batch.skipped]
    assert "left out 4 of 24 recordings" in caplog.text


def test_noises_and_rooms_of_the_list_are_left_out_too(
    speech: Path, noise: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_quarantine(tmp_path / "list", [finding("car/0", "silent"), finding("cafe/1", "nan", line=2)])
    plain = {
        "manifests": [str(speech)],
        "quarantine": str(tmp_path / "list"),
        "noise": {"manifest": f"{noise}#repeat=2", "exclude": ["car/0"]},
        "reverb": {"manifest": f"{noise}#label=cafe"},
        "workers": 0,
    }
    with caplog.at_level(logging.WARNING):
        made = build_loader(parse(DataConfig, plain), training=False).dataset
    assert made.noise is not None
    drawn = {draw.id for epoch in range(200) if (draw := made.noise.draw(epoch, "u", 1600)) is not None}
    assert drawn == {f"{name}{copy}" for name in ("car/1", "cafe/0", "metro/0", "metro/1") for copy in ("", "~2")}
    assert [len(room) for room in made._rooms] == [4_800]  # cafe/0, 0.3 s
    assert (
        "left out 3 of 11 noises" in caplog.text
    )  # the copy of car/0 that `exclude` does not name, cafe/1 and its copy
    assert len(made.cuts) == 12


def test_a_list_of_all_noises_is_an_error(speech: Path, noise: Path, tmp_path: Path) -> None:
    names = [f"{kind}/{take}" for kind in ("car", "cafe", "metro") for take in range(2)]
    write_quarantine(tmp_path / "list", [finding(name, "silent", line=n) for n, name in enumerate(names)])
    plain = {"manifests": [str(speech)], "quarantine": str(tmp_path / "list"), "workers": 0}
    for choice, message in (({}, "must leave at least one noise"), ({"types": ["car"]}, r"\['car'\] are not")):
        made = parse(DataConfig, {**plain, "noise": {"manifest": str(noise), **choice}})
        with pytest.raises(DataError, match=f"{message}.*or the quarantine list"):
            build_loader(made)


def test_lists_that_cannot_be_used(speech: Path, tmp_path: Path) -> None:
    config = parse(DataConfig, {"manifests": [str(speech)], "quarantine": str(tmp_path / "list.jsonl"), "workers": 0})
    for content, message in (
        (None, "No such file"),
        (b"\xff", "utf-8"),
        (b'{"id": 3}\n', "line 1"),
        (b'{"id": "x"}\n\n["x"]\n', "line 3"),
        (b"[" * 100_000, "line 1"),
    ):
        if content is not None:
            (tmp_path / "list.jsonl").write_bytes(content)
        with pytest.raises(DataError, match=message):
            build_loader(config)
    entries = [finding(f"{'train' if n < 9 else 'test'}/u{n}", "silent", line=n) for n in range(12)]
    write_quarantine(tmp_path / "list.jsonl", entries)
    with pytest.raises(DataError, match="lists all 12"):
        build_loader(config)


def test_an_interrupted_list_leaves_the_old_one(tmp_path: Path) -> None:
    def interrupted() -> object:
        yield finding("b", "silent")
        raise KeyboardInterrupt

    write_quarantine(tmp_path / "list", [finding("a", "silent")])
    with pytest.raises(KeyboardInterrupt):
        write_quarantine(tmp_path / "list", interrupted())  # type: ignore[arg-type]
    assert read_quarantine(tmp_path / "list") == {"a"}
    assert [path.name for path in tmp_path.iterdir()] == ["list"]
