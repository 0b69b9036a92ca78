from pathlib import Path

import pytest
from lhotse.recipes import prepare_librispeech

from noisewise.data.corpora import librispeech
from noisewise.data.manifests.read import column, read, text_of
from noisewise.errors import DataError

LINES = {
    "dev-clean/84/121123": ["84-121123-0000 GO DO YOU HEAR", "84-121123-0001 BUT IN LESS THAN FIVE MINUTES"],
    "dev-clean/777/1267": ["777-1267-0000 IT'S HARD"],
    "train-clean-5/19/198": ["19-198-0000 NORTHANGER ABBEY"],
}


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    root = tmp_path / "in/LibriSpeech"
    for folder, lines in LINES.items():
        for index, line in enumerate(lines):
            save(root / folder / f"{line.split()[0]}.flac", 0.2 + 0.1 * index)
        name = "-".join(folder.split("/")[1:])
        (root / folder / f"{name}.trans.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "in"


def test_agrees_with_the_recipe_of_lhotse(corpus: Path, tmp_path: Path) -> None:
    parts = librispeech.prepare(corpus, tmp_path / "out")
    assert [part.file for part in parts] == ["cuts_dev-clean.jsonl.gz", "cuts_train-clean-5.jsonl.gz"]
    theirs = prepare_librispeech(corpus / "LibriSpeech")
    for name, manifests in theirs.items():
        cuts = list(read(tmp_path / f"out/cuts_{name}.jsonl.gz"))
        expected = {(said.id, said.text, said.speaker, round(said.duration, 6)) for said in manifests["supervisions"]}
        found = {
            (column(cut, "utterance"), text_of(cut), column(cut, "speaker"), round(cut.duration, 6)) for cut in cuts
        }
        assert found == expected
        assert {column(cut, "split") for cut in cuts} == {name}


def test_faults_are_listed(corpus: Path, tmp_path: Path) -> None:
    folder = corpus / "LibriSpeech/dev-clean/84/121123"
    (folder / "84-121123-0000.flac").unlink()
    (folder / "84-121123-0001.flac").write_bytes(b"fLaC")
    with (folder / "84-121123.trans.txt").open("a") as lines:
        lines.write("84-121123-0002\n")
    (part, _) = librispeech.prepare(corpus / "LibriSpeech", tmp_path / "out")
    assert part.utterances == 1
    reasons = [item.reason for item in part.rejected]
    assert len(reasons) == 3 and {"missing", "bad_row"} < set(reasons)


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold folders such as train-clean-100"):
        librispeech.prepare(tmp_path, tmp_path / "out")
