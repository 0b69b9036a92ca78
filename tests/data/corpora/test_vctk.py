from pathlib import Path

import pytest
from lhotse.recipes import prepare_vctk

from noisewise.data.corpora import vctk
from noisewise.data.manifests.read import column, read, text_of
from noisewise.errors import DataError

INFO = """ID  AGE  GENDER  ACCENTS  REGION COMMENTS
{p}225  23  F    English    Southern  England
{p}226  22  M    English    Surrey
"""


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    root = tmp_path / "in/VCTK-Corpus-0.92"
    for name in ("p225_001", "p225_002", "p226_001"):
        speaker = name[:4]
        for microphone in ("mic1", "mic2"):
            save(root / f"wav48_silence_trimmed/{speaker}/{name}_{microphone}.flac", 0.3)
        (root / f"txt/{speaker}").mkdir(parents=True, exist_ok=True)
        (root / f"txt/{speaker}/{name}.txt").write_text(f"Please call {name}.\n")
    (root / "speaker-info.txt").write_text(INFO.format(p="p"))
    return root


def test_agrees_with_the_recipe_of_lhotse(corpus: Path, tmp_path: Path) -> None:
    parts = vctk.prepare(corpus.parent, tmp_path / "out")
    assert [part.file for part in parts] == ["cuts_mic1.jsonl.gz", "cuts_mic2.jsonl.gz"]
    theirs = prepare_vctk(corpus, use_edinburgh_vctk_url=True, mic_id="mic2")
    expected = {(said.id, said.text, said.speaker, said.gender) for said in theirs["supervisions"]}
    cuts = read(tmp_path / "out/cuts_mic2.jsonl.gz")
    found = {(Path(cut.id).name, text_of(cut), column(cut, "speaker"), column(cut, "gender")) for cut in cuts}
    assert found == expected and len(found) == 3


def test_a_speaker_without_texts_is_rejected(corpus: Path, tmp_path: Path, save: object) -> None:
    save(corpus / "wav48_silence_trimmed/p315/p315_001_mic1.flac")
    first, second = vctk.prepare(corpus, tmp_path / "out")
    assert [item.reason for item in first.rejected] == ["no_text"] and not second.rejected


def test_the_older_version(tmp_path: Path, save: object) -> None:
    root = tmp_path / "VCTK-Corpus"
    save(root / "wav48/p225/p225_001.wav", rate=48_000)
    (root / "txt/p225").mkdir(parents=True)
    (root / "txt/p225/p225_001.txt").write_text("Please call Stella.\n")
    (root / "speaker-info.txt").write_text(INFO.format(p=""))
    (part,) = vctk.prepare(root, tmp_path / "out")
    (cut,) = read(tmp_path / "out" / part.file)
    assert (part.file, text_of(cut), column(cut, "age")) == ("cuts.jsonl.gz", "Please call Stella.", "23")


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold wav48_silence_trimmed/"):
        vctk.prepare(tmp_path, tmp_path / "out")
