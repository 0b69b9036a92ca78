from pathlib import Path

import pytest
from lhotse.recipes import prepare_musan

from noisewise.data.corpora import musan
from noisewise.data.manifests.read import column, read
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import DataError


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    root = tmp_path / "in/musan"
    for name in ("music/fma/music-fma-0000", "music/fma/music-fma-0001", "noise/free-sound/noise-free-sound-0000",
                 "noise/sound-bible/noise-sound-bible-0000", "speech/librivox/speech-librivox-0000"):  # fmt: skip
        save(root / f"{name}.wav", 0.3)
    (root / "music/fma/ANNOTATIONS").write_text("music-fma-0000 rock,pop Y The Two Words\nmusic-fma-0001 jazz N X\n")
    (root / "speech/librivox/ANNOTATIONS").write_text("speech-librivox-0000 m english\n")
    (root / "noise/README").write_text("about\n")
    return tmp_path / "in"


def test_parts_labels_and_annotations(corpus: Path, tmp_path: Path) -> None:
    parts = musan.prepare(corpus, tmp_path / "out")
    assert [(part.file, part.utterances) for part in parts] == [
        ("cuts_music.jsonl.gz", 2),
        ("cuts_noise.jsonl.gz", 2),
        ("cuts_speech.jsonl.gz", 1),
    ]
    theirs = prepare_musan(corpus / "musan")
    for kind, manifests in theirs.items():
        cuts = list(read(tmp_path / f"out/cuts_{kind}.jsonl.gz"))
        assert {Path(cut.id).name for cut in cuts} == {recording.id for recording in manifests["recordings"]}
        assert {column(cut, "label") for cut in cuts} == {kind}
    cut = read(tmp_path / "out/cuts_music.jsonl.gz")[0]
    said = next(iter(theirs["music"]["supervisions"]))
    assert str(column(cut, "genres")).split(",") == said.custom["genres"] and column(cut, "vocals") == "Y"
    assert column(cut, "artist") == "The Two Words"
    assert column(read(tmp_path / "out/cuts_speech.jsonl.gz")[0], "language") == "english"


def test_it_is_a_noise_pool(corpus: Path, tmp_path: Path) -> None:
    musan.prepare(corpus / "musan", tmp_path / "out")
    pool = NoisePool.load(NoiseConfig(manifest=str(tmp_path / "out/cuts_noise.jsonl.gz")), 0)
    assert pool.types == ["noise"]


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold music/, noise/ and speech/"):
        musan.prepare(tmp_path, tmp_path / "out")
