import logging
from pathlib import Path

import pytest

from noisewise.data.corpora import robust_asr
from noisewise.data.corpora.robust_asr import TYPES, parse_name, type_of
from noisewise.data.manifests.read import column, read, text_of
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import DataError
from noisewise.evaluation.conditions import TYPE_A, TYPE_B

FILES = ("Babble", "AirportStation", "Car", "MetroSubway", "CafeRestaurant", "Traffic", "ACVacuum")
UTTERANCES = {"61-70970-0010": "YOUNG FITZOOTH HAD BEEN COMMANDED", "8555-292519-0003": "THAT WAS BUT RUSTLING"}
RATIOS = (0, 5, 10, 15, 20)


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    root = tmp_path / "in"
    for kind in FILES:
        save(root / f"noise_train/{kind}_1_of_ten.wav", 0.2)
        save(root / f"noise_test/{kind}_2.wav", 0.2)
        for utterance in UTTERANCES:
            for ratio in RATIOS:
                save(root / f"NoisySet/{utterance}_{kind}_{ratio}db.wav", 0.1)
    for utterance, words in UTTERANCES.items():
        speaker, chapter, _ = utterance.split("-")
        folder = tmp_path / f"LibriSpeech/test-clean/{speaker}/{chapter}"
        folder.mkdir(parents=True)
        (folder / f"{speaker}-{chapter}.trans.txt").write_text(f"{utterance} {words}\n")
    return root


def test_noises_and_the_noisy_set(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        parts = robust_asr.prepare(corpus, tmp_path / "out", librispeech=tmp_path / "LibriSpeech")
    assert "has 4200 files, but here are 70" in caplog.text
    assert [(part.file, part.utterances) for part in parts] == [
        ("cuts_noise_train.jsonl.gz", 7),
        ("cuts_noise_test.jsonl.gz", 7),
        ("cuts_noisy.jsonl.gz", 70),
    ]
    noisy = {cut.id: cut for cut in read(tmp_path / "out/cuts_noisy.jsonl.gz")}
    cut = noisy["NoisySet/8555-292519-0003_ACVacuum_15db"]
    assert text_of(cut) == "THAT WAS BUT RUSTLING"
    names = ("speaker", "label", "group", "snr_db", "utterance")
    assert [column(cut, name) for name in names] == ["8555", "ac_vacuum", "B", "15", "8555-292519-0003"]
    pool = NoisePool.load(NoiseConfig(manifest=f"{tmp_path}/out/cuts_noise_train.jsonl.gz"), 0)
    assert pool.types == sorted(TYPES)
    assert len(read(f"{tmp_path}/out/cuts_noisy.jsonl.gz#label=metro&snr_db=0")) == 2


def test_without_transcripts(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give test-clean with --librispeech"):
        robust_asr.prepare(corpus, tmp_path / "out")


def test_noises_without_a_split(corpus: Path, tmp_path: Path) -> None:
    (corpus / "noise_train").rename(corpus / "sounds")
    parts = robust_asr.prepare(corpus, tmp_path / "out", librispeech=tmp_path)
    assert [part.file for part in parts] == ["cuts_noise_test.jsonl.gz", "cuts_noise.jsonl.gz", "cuts_noisy.jsonl.gz"]


@pytest.mark.parametrize(
    "spelling", ["AirportStation", "Airport/Station", "airport", "Airport_Station", "Airport/ Station"]
)
def test_spellings(spelling: str) -> None:
    assert type_of(spelling) == "airport_station"


def test_both_spellings_of_every_type() -> None:
    papers = ("Babble", "Airport/Station", "Car", "Metro", "Cafe", "Traffic", "AC/Vacuum")
    assert [type_of(name) for name in FILES] == [type_of(name) for name in papers] == list(TYPES)
    assert set(robust_asr.STATIONARY) == set(TYPE_A)
    assert set(TYPES) - set(TYPE_A) == set(TYPE_B), "so that all seven are in the means of a grid"


@pytest.mark.parametrize(
    ("stem", "parsed"),
    [
        ("61-70970-0010_MetroSubway_15db", ("61-70970-0010", "metro", 15.0)),
        ("61-70970-0010_AC_Vacuum_0dB", ("61-70970-0010", "ac_vacuum", 0.0)),
        ("61-70970-0010_Car_-5db", ("61-70970-0010", "car", -5.0)),
        ("61-70970-0010_Rain_5db", None),
        ("Babble_1", None),
        ("61-70970-0010", None),
    ],
)
def test_names(stem: str, parsed: tuple[str, str, float] | None) -> None:
    assert parse_name(stem) == parsed


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold files such as Babble_1"):
        robust_asr.prepare(tmp_path, tmp_path / "out")
