import gzip
import json
from pathlib import Path

import pytest
from lhotse import MonoCut
from lhotse.shar import SharWriter

from noisewise.data.corpora import shards
from noisewise.data.manifests import shar
from noisewise.data.manifests.lhotse_format import dump
from noisewise.data.manifests.read import column, load_audio, read, text_of
from noisewise.errors import DataError


@pytest.fixture
def packed(speech: Path, tmp_path: Path) -> Path:
    shards.prepare(speech, tmp_path / "out", shard_size=5, workers=2)
    return tmp_path / "out"


def test_the_same_cuts_and_samples(speech: Path, packed: Path) -> None:
    ours, files = list(read(f"shar:{packed}")), list(read(speech))
    assert [cut.id for cut in ours] == [cut.id for cut in files]
    for one, other in zip(ours, files, strict=True):
        assert (load_audio(one) == load_audio(other)).all()
        assert text_of(one) == text_of(other) and one.duration == other.duration
        assert [column(one, name) for name in ("speaker", "split")] == [
            column(other, name) for name in ("speaker", "split")
        ]
        assert column(one, shar.PLACE) is None


def test_filters(packed: Path) -> None:
    assert len(read(f"shar:{packed}#split=test&repeat=2")) == 6


def test_an_object_store(packed: Path) -> None:
    import fsspec

    files = fsspec.filesystem("memory")
    files.put(f"{packed}/", "/bucket/corpus/", recursive=True)
    cuts = list(read("shar:memory://bucket/corpus"))
    assert len(cuts) == 12
    here = list(read(f"shar:{packed}"))
    assert (load_audio(cuts[7]) == load_audio(here[7])).all()


def test_shards_written_by_lhotse(speech: Path, tmp_path: Path) -> None:
    cuts = list(read(speech))
    (tmp_path / "theirs").mkdir()
    with SharWriter(tmp_path / "theirs", fields={"recording": "flac"}, shard_size=7) as writer:
        for cut in cuts:
            writer.write(MonoCut.from_dict(dump(cut)))
    found = list(read(f"shar:{tmp_path}/theirs"))
    assert [cut.id for cut in found] == [cut.id for cut in cuts]
    for one, other in zip(found, cuts, strict=True):
        assert abs(load_audio(one) - load_audio(other)).max() < 1e-4


def test_what_is_missing_or_broken(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must hold cuts\.000000\.jsonl\.gz"):
        read(f"shar:{tmp_path}")
    with pytest.raises(DataError, match="must be shards that can be read"):
        read("shar:nosuchstore://bucket/x")
    (packed / "recording.000001.tar").unlink()
    with pytest.raises(DataError, match=r"recording\.000001\.tar` must be beside"):
        read(f"shar:{packed}")
    manifest = packed / "cuts.000000.jsonl.gz"
    lines = gzip.decompress(manifest.read_bytes()).splitlines()
    broken = json.loads(lines[0])
    broken["custom"][shar.PLACE] = "x"
    manifest.write_bytes(gzip.compress(json.dumps(broken).encode()))
    with pytest.raises(DataError, match="line 1: must be a cut with its recording"):
        read(f"shar:{packed}")
    manifest.write_bytes(manifest.read_bytes()[:30])
    with pytest.raises(DataError, match="must be gzip"):
        read(f"shar:{packed}")


@pytest.mark.parametrize(
    "place", [[float("inf"), 3, ".flac"], [0, -1, ".flac"], [0, 1], {}, 7, [[], 1, ".flac"], "abc"]
)
def test_a_place_must_be_numbers_and_a_suffix(packed: Path, place: object) -> None:
    manifest = packed / "cuts.000000.jsonl.gz"
    first, *others = gzip.decompress(manifest.read_bytes()).splitlines()
    values = json.loads(first)
    values["custom"][shar.PLACE] = place
    manifest.write_bytes(gzip.compress(b"\n".join([json.dumps(values).encode(), *others])))
    with pytest.raises(DataError, match="line 1"):
        read(f"shar:{packed}")
