"""The verb: a table on stdout, a result as JSON, refusals in one line."""

import json
from pathlib import Path

import pytest
import torch

from noisewise.cli.main import main
from noisewise.data.embeddings.store import EmbeddingFacts, Unread
from noisewise.data.embeddings.writer import EmbeddingWriter


@pytest.fixture(autouse=True)
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """24 clips of two classes in three folds; `good` knows the class, `poor` does not."""
    monkeypatch.chdir(tmp_path)
    rows, good, poor = ["path\tduration_seconds\tlabel\tfold\trecording"], [], []
    generator = torch.Generator().manual_seed(0)
    for place in range(24):
        rows.append(f"c{place}.wav\t1.0\t{'dog' if place % 2 else 'cat'}\tf{place // 8}\tr{place // 2}")
        noise = torch.randn(2, generator=generator)
        good.append((f"c{place}", 0.1 * noise + place % 2))
        poor.append((f"c{place}", noise))
    Path("manifest.tsv").write_text("\n".join(rows) + "\n")
    for name, vectors, unread in (("good", good, []), ("poor", poor[1:], [Unread("c0", "c0.wav", "nan", "NaN")])):
        EmbeddingWriter(name, EmbeddingFacts(encoder=f"e-{name}", dim=2, sample_rate=16_000)).add(vectors, unread)


def test_stores_are_probed_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["probe", "good", "poor", "--labels", "manifest.tsv", "--groups", "recording", "--output", "probes.json"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "| good | e-good | linear | accuracy 100.0 (100.0 to 100.0) | 100.0 100.0 100.0 |" in printed.out
    assert printed.out.count("\n") == 6 and "| poor | e-poor | knn |" in printed.out
    assert "poor: 1 clips have no vector and are left out" in printed.err
    values = json.loads(Path("probes.json").read_text())
    assert [each["clips"] for each in values["probes"]] == [24, 24, 23, 23]
    assert values["columns"] == {"label": "label", "folds": "fold", "groups": "recording"}
    assert "torch" in values["versions"]


def test_folds_of_the_test_set_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["probe", "good", "--labels", "manifest.tsv", "--probe", "knn", "--output", "probes.json"]
    assert main([*words, "--test", "f1,f2", "--held-out", "f0"]) == 0
    (found,) = json.loads(Path("probes.json").read_text())["probes"]
    assert [(each["fold"], each["held_out"]) for each in found["folds"]] == [("f1", "f0"), ("f2", "f0")]
    assert main([*words, "--probe", "forest"]) == 2
    assert "`--probe` must be of linear, knn, joined by commas, but is 'forest'" in capsys.readouterr().err
    assert main(["probe", "nowhere", "--labels", "manifest.tsv"]) == 2
    assert "must be a folder that `noisewise embed` wrote" in capsys.readouterr().err
