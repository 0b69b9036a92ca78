import json
import tarfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import soundfile
from lhotse import CutSet

from noisewise.data.corpora import shards
from noisewise.data.corpora.preparation import write_cuts
from noisewise.data.manifests.read import load_audio, read, text_of
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import DataError


def test_lhotse_reads_them(speech: Path, tmp_path: Path) -> None:
    parts = shards.prepare(speech, tmp_path / "out", shard_size=5)
    assert [part.utterances for part in parts] == [5, 5, 2]
    theirs = list(CutSet.from_shar(in_dir=str(tmp_path / "out")))
    ours = list(read(speech))
    assert [cut.id for cut in theirs] == [cut.id for cut in ours]
    for one, other in zip(theirs, ours, strict=True):
        assert np.abs(one.load_audio()[0] - load_audio(other)).max() < 1e-6
        assert one.supervisions[0].text == text_of(other)


def test_files_go_in_as_they_are(speech: Path, tmp_path: Path) -> None:
    shards.prepare(speech, tmp_path / "one", shard_size=20, workers=1)
    shards.prepare(speech, tmp_path / "two", shard_size=20, workers=3)
    archive = (tmp_path / "one/recording.000000.tar").read_bytes()
    assert (speech / "train/u3.flac").read_bytes() in archive
    assert archive == (tmp_path / "two/recording.000000.tar").read_bytes()


def test_parts_of_recordings_and_several_channels(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (32_000, 2))
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/long.wav", wave, 16_000)
    (whole,) = read(tmp_path / "in")
    write_cuts(tmp_path / "cuts.jsonl.gz", [replace(whole, id="part", start=0.5, duration=0.75), whole])
    shards.prepare(tmp_path / "cuts.jsonl.gz", tmp_path / "out")
    for one, other in zip(read(f"shar:{tmp_path}/out"), read(tmp_path / "cuts.jsonl.gz"), strict=True):
        assert (load_audio(one) == load_audio(other)).all()
    assert read(f"shar:{tmp_path}/out")[0].duration == 0.75


def test_a_second_run_makes_what_is_missing(speech: Path, tmp_path: Path) -> None:
    shards.prepare(speech, tmp_path / "out", shard_size=5)
    before = (tmp_path / "out/recording.000001.tar").read_bytes()
    (tmp_path / "out/cuts.000001.jsonl.gz").unlink()
    again = shards.prepare(speech, tmp_path / "out", shard_size=5)
    assert [part.fresh for part in again] == [False, True, False]
    assert (tmp_path / "out/recording.000001.tar").read_bytes() == before
    with pytest.raises(DataError, match=r"must hold 1 shards of this set only, but holds"):
        shards.prepare(speech, tmp_path / "out", shard_size=12)


def test_what_cannot_be_used_is_listed_beside_the_folder(speech: Path, tmp_path: Path) -> None:
    (speech / "train/u3.flac").write_bytes(b"")
    parts = shards.prepare(speech, tmp_path / "out", shard_size=5)
    assert [part.utterances for part in parts] == [4, 5, 2]
    assert [part.fresh for part in shards.prepare(speech, tmp_path / "out", shard_size=5)] == [False] * 3
    (line,) = (tmp_path / "out.rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "empty"


def test_noise_from_shards_is_the_noise_from_files(noise: Path, tmp_path: Path) -> None:
    shards.prepare(noise, tmp_path / "out")
    clean = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    for cache in (256, 0):
        pools = [
            NoisePool.load(NoiseConfig(manifest=source, cache_mb=cache), 3)
            for source in (str(noise), f"shar:{tmp_path}/out")
        ]
        one, other = (pool.apply(clean, 0, "u")[0] for pool in pools)
        assert (one == other).all()


@pytest.mark.parametrize("name", ["../../../evil", "/abs/evil", "a/../../evil", "..\\evil", "./evil", "//evil"])
def test_what_is_written_unpacks_inside_its_folder(speech: Path, tmp_path: Path, name: str) -> None:
    cuts = [read(speech)[0].with_id(name), read(speech)[1].with_id("ok")]
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    for _ in range(2):  # the second finds them as they were
        (part,) = shards.prepare(tmp_path / "cuts.jsonl.gz", tmp_path / "out", workers=1)
        assert part.utterances == 2
    with tarfile.open(tmp_path / "out/recording.000000.tar") as archive:
        names = archive.getnames()
    assert all(not PurePosixPath(each).is_absolute() and ".." not in PurePosixPath(each).parts for each in names)
    assert names[0].endswith("evil.flac") and "\\" not in names[0]
    first, _ = read(f"shar:{tmp_path}/out")
    assert len(load_audio(first)) == 6400
    assert next(iter(CutSet.from_shar(in_dir=tmp_path / "out"))).id == first.id


def test_ids_that_would_become_one_are_refused(speech: Path, tmp_path: Path) -> None:
    cuts = [cut.with_id(name) for cut, name in zip(read(speech), ("../a", "a"), strict=False)]
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    with pytest.raises(DataError, match=r"must not have '\.\./a' and 'a'"):
        shards.prepare(tmp_path / "cuts.jsonl.gz", tmp_path / "out", workers=1)
    write_cuts(tmp_path / "cuts.jsonl.gz", [cuts[0].with_id("../..")])
    with pytest.raises(DataError, match="must name a file inside"):
        shards.prepare(tmp_path / "cuts.jsonl.gz", tmp_path / "out", workers=1)
