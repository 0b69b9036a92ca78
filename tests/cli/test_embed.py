"""The verb: a store from a manifest, what it prints, and how it ends."""

from pathlib import Path

import pytest

from noisewise.cli.main import main
from noisewise.data.embeddings.store import EmbeddingStore
from tests.corpus import write_corpus


@pytest.fixture(autouse=True)
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_a_manifest_becomes_a_store(model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["embed", "corpus", "--encoder", str(model_dir), "--output", "store"]
    assert main([*words, "--normalise", "--shard-clips", "3"]) == 0
    store = EmbeddingStore("store")
    assert len(store) == 8 and store.dim == 64 and len(store.shards) == 3 and store.facts.normalised
    assert float(store["u3"].norm()) == pytest.approx(1.0, abs=1e-5)
    printed = capsys.readouterr()
    assert f"store: 8 new vectors of {model_dir.name}, 64 (mean)" in printed.out
    assert "8 of 8 clips, 0 without a vector" in printed.err
    assert main([*words, "--normalise"]) == 0
    assert "0 new vectors" in capsys.readouterr().out
    assert main(words) == 2
    assert "its normalised is True and not False; choose another folder" in capsys.readouterr().err


def test_broken_clips_are_told_and_end_with_1(model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("corpus/u5.wav").write_bytes(b"RIFF")
    words = ["embed", "corpus", "--encoder", str(model_dir), "--output", "store", "--frames", "--half"]
    assert main(words) == 1
    printed = capsys.readouterr()
    assert "7 new vectors" in printed.out and "64 a frame" in printed.out and "1 have none" in printed.out
    assert "u5" in printed.err
    store = EmbeddingStore("store")
    assert store.facts.level == "frames" and store["u0"].ndim == 2 and "u5" not in store
    assert main(["embed", "corpus", "--encoder", str(model_dir), "--output", "other"]) == 1
    quarantine = ["--quarantine", "other/quarantine.jsonl"]
    assert main(["embed", "corpus", "--encoder", str(model_dir), "--output", "third", *quarantine]) == 0


def test_what_cannot_be_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", "corpus", "--encoder", "nowhere", "--output", "store"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "`encoder` must be box, a model folder" in error
    assert not Path("store").exists()
