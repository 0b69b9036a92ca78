"""Classes of a corpus: their order, the row of a clip, and what is refused."""

from pathlib import Path

import pytest
import torch

from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.loader import build_loader, read_labels
from noisewise.data.manifests.labels import Labels, labels_of, names_in, read_names
from noisewise.data.manifests.read import read
from noisewise.errors import ConfigError, DataError
from tests.corpus import write_corpus


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Eight recordings: a dog, a dog in the rain, rain, nothing, and again."""
    write_corpus(tmp_path)
    table = tmp_path / "corpus" / "manifest.tsv"
    labels = ["dog", "rain; dog", "rain", ""] * 2
    lines = table.read_text().splitlines()
    rows = [f"{line}\t{label}" for line, label in zip(lines, ["label", *labels], strict=True)]
    table.write_text("\n".join(rows) + "\n")
    return tmp_path / "corpus"


def test_a_row_has_every_label_of_a_clip(corpus: Path) -> None:
    cuts = list(read(corpus))
    assert names_in(cuts, "label") == ["dog", "rain"]
    assert [labels_of(cut, "label") for cut in cuts[:4]] == [["dog"], ["rain", "dog"], ["rain"], []]
    rows = torch.stack([Labels(["rain", "cat", "dog"]).row(cut) for cut in cuts[:4]])
    assert rows.tolist() == [[0, 0, 1], [1, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_batches_carry_the_labels_of_their_clips(corpus: Path) -> None:
    config = DataConfig(manifests=[str(corpus)], batch_seconds=4, workers=0)
    labels = read_labels(config)
    own = {cut.id: labels.row(cut) for cut in read(corpus)}
    batches = list(build_loader(config, labels=labels, training=False))
    assert sum(map(len, batches)) == 8 and len(batches) > 1
    for batch in batches:
        assert batch.labels is not None
        assert torch.equal(batch.labels, torch.stack([own[name] for name in batch.ids]))
    assert next(iter(build_loader(config, training=False))).labels is None


def test_a_label_that_is_no_class_is_refused_by_name(corpus: Path, tmp_path: Path) -> None:
    config = DataConfig(manifests=[str(corpus)], workers=0)
    with pytest.raises(DataError, match="'u1' must have labels of 1 known classes, but has 'rain'"):
        build_loader(config, labels=Labels(["dog"]))
    with pytest.raises(DataError, match="must have labels in the column 'kind', but have none"):
        read_labels(DataConfig(manifests=[str(corpus)], label_column="kind"))


def test_a_file_may_name_the_classes(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("rain\n\ndog \ncat\n")
    config = DataConfig(manifests=[str(corpus)], classes=str(path))
    assert read_labels(config).names == ["rain", "dog", "cat"] and len(read_labels(config)) == 3
    for content in ("", "dog\ndog\n"):
        path.write_text(content)
        with pytest.raises(DataError, match="each once"):
            read_names(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_names(tmp_path / "none.txt")


def test_rare_classes_weigh_more(corpus: Path) -> None:
    """Four dogs and four of rain; with u7 made a cat, its weight is that of four."""
    table = corpus / "manifest.tsv"
    table.write_text(table.read_text().rstrip("\n") + "cat\n")
    cuts = list(read(corpus))
    weights = Labels(["cat", "dog", "rain"]).weights(cuts)
    dog, cat = 1000 / 4.01, 1000 / 1.01
    assert weights.tolist() == pytest.approx([dog, 2 * dog, dog, 0, dog, 2 * dog, dog, cat])
    config = DataConfig(manifests=[str(corpus)], batch_seconds=2, workers=0, balance=3)
    labels = read_labels(config)
    loader = build_loader(config, labels=labels, seed=1)
    batches = [batch for batch, _ in zip(loader, range(8), strict=False)]
    assert all("u3" not in batch.ids for batch in batches), "it has no label"
    assert sum(map(len, build_loader(config, labels=labels, training=False))) == 8
    with pytest.raises(ConfigError, match="where nothing learns labels"):
        build_loader(config)


def test_rolled_recordings_begin_anywhere_the_same_each_time(corpus: Path) -> None:
    plain, rolled = (
        DataConfig(manifests=[str(corpus)], batch_seconds=1, workers=0, roll=roll) for roll in (False, True)
    )
    still, first, again = (next(iter(build_loader(each, training=False))) for each in (plain, rolled, rolled))
    count = int(still.lengths[0])
    a, b = still.waveform[0, :count], first.waveform[0, :count]
    assert torch.equal(first.waveform, again.waveform) and not torch.equal(a, b)
    assert any(torch.equal(a.roll(shift), b) for shift in range(count))
