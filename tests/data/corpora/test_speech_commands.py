from pathlib import Path

import pytest
from lhotse.recipes import prepare_speechcommands

from noisewise.data.corpora import speech_commands
from noisewise.data.manifests.read import column, read, text_of
from noisewise.errors import DataError


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    root = tmp_path / "in/speech_commands_v0.02"
    for name in ("yes/0a7c_nohash_0", "yes/0a7c_nohash_1", "tree/1b2d_nohash_0", "no/33ff_nohash_2",
                 "_background_noise_/running_tap", "_background_noise_/pink_noise"):  # fmt: skip
        save(root / f"{name}.wav", 0.3)
    (root / "validation_list.txt").write_text("yes/0a7c_nohash_1.wav\n")
    (root / "testing_list.txt").write_text("no/33ff_nohash_2.wav\n")
    return tmp_path / "in"


def test_the_lists_make_the_splits(corpus: Path, tmp_path: Path, save: object) -> None:
    speech_commands.prepare(corpus, tmp_path / "out")
    parts = {
        part: {(cut.id, text_of(cut)) for cut in read(tmp_path / f"out/cuts_{part}.jsonl.gz")}
        for part in ("train", "validation", "test", "noise")
    }
    assert parts == {
        "train": {("yes/0a7c_nohash_0", "YES"), ("tree/1b2d_nohash_0", "TREE")},
        "validation": {("yes/0a7c_nohash_1", "YES")},
        "test": {("no/33ff_nohash_2", "NO")},
        "noise": {("_background_noise_/running_tap", None), ("_background_noise_/pink_noise", None)},
    }
    save(corpus / "speech_commands_test_set_v0.02/no/33ff_nohash_2.wav")
    theirs = prepare_speechcommands("2", corpus)
    words = {(said.speaker, str(said.text).upper()) for said in theirs["train"]["supervisions"] if said.speaker}
    ours = {(column(cut, "speaker"), text_of(cut)) for cut in read(tmp_path / "out/cuts_train.jsonl.gz")}
    assert ours == words


def test_a_missing_list(corpus: Path, tmp_path: Path) -> None:
    (corpus / "speech_commands_v0.02/testing_list.txt").unlink()
    with pytest.raises(DataError, match=r"testing_list\.txt` must exist"):
        speech_commands.prepare(corpus, tmp_path / "out")
