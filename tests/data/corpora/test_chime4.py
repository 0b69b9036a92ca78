"""A fabricated tree: two speakers, two environments, seven channels."""

from pathlib import Path

import pytest

from noisewise.data.corpora import chime4
from noisewise.data.manifests.read import column, read, text_of
from noisewise.errors import DataError

ENVIRONMENTS = ("bus", "str")
LINES = {
    "dt05_real": '[<DOOR_SLAM] SHE SAID \\"YES\\" [DOOR_SLAM>] ~ ({speaker}_050C0101_{env})',
    "dt05_simu": "A .POINT FIVE %PERCENT --DASH <RISE> [LIP_SMACK] ({speaker}_050C0101_{env})",
}


@pytest.fixture
def corpus(tmp_path: Path, save: object) -> Path:
    data = tmp_path / "CHiME4/data"
    isolated = data / "audio/16kHz/isolated"
    (data / "transcriptions").mkdir(parents=True)
    (data / "annotations").mkdir()
    for part, line in LINES.items():
        first = 0 if part.endswith("real") else 1
        rows, track = [], []
        for environment in ENVIRONMENTS:
            for speaker in ("F01", "M03"):
                name = f"{speaker}_050C0101_{environment.upper()}"
                folder = part.replace("_", f"_{environment}_")
                for channel in range(first, 7):
                    save(isolated / folder / f"{name}.CH{channel}.wav", 0.1)
                rows.append(line.format(speaker=speaker, env=environment.upper()))
                track.append(f"{folder}/{name}.CH{3 if speaker == 'F01' else 6}.wav")
        (data / f"transcriptions/{part}.dot_all").write_text("\n".join(rows) + "\n")
        (data / f"annotations/{part}_1ch_track.list").write_text("\n".join(track) + "\n")
    for speaker in ("F01", "M03"):
        for channel in range(7):
            save(isolated / f"dt05_bth/{speaker}_050C0101_BTH.CH{channel}.wav", 0.1)
    (data / "transcriptions/dt05_bth.dot_all").write_text("B (F01_050C0101_BTH)\nB (M03_050C0101_BTH)\n")
    save(isolated / "tr05_bus_simu/011_011C0201_BUS.CH5.wav", 0.1)
    dots = data / "WSJ0/wsj0/transcrp/dots/si_tr_s/011"
    dots.mkdir(parents=True)
    (dots / "011c0200.dot").write_text("the sale of Hotels rose (011c0201)\n")
    original = data / "WSJ0/wsj0/si_tr_s/011/011c0201.wv1"
    original.parent.mkdir(parents=True)
    original.write_bytes(b"NIST_1A")
    return tmp_path


def test_parts_and_channels(corpus: Path, tmp_path: Path) -> None:
    parts = chime4.prepare(corpus, tmp_path / "out")
    assert {part.file.split("_", 1)[1].partition(".")[0]: part.utterances for part in parts} == {
        "tr05_simu": 1,
        "dt05_real": 20,
        "dt05_real_1ch": 4,
        "dt05_simu": 20,
        "dt05_simu_1ch": 4,
        "dt05_bth": 10,
    }
    assert not any(part.rejected for part in parts)
    channels = {column(cut, "channel") for cut in read(tmp_path / "out/cuts_dt05_real.jsonl.gz")}
    assert channels == {"1", "3", "4", "5", "6"}
    (part, *_) = chime4.prepare(corpus / "CHiME4/data", tmp_path / "five", channels=[5])
    assert part.utterances == 1
    assert len(read(tmp_path / "five/cuts_dt05_real.jsonl.gz")) == 4


def test_words_columns_and_partners(corpus: Path, tmp_path: Path) -> None:
    chime4.prepare(corpus / "CHiME4", tmp_path / "out")
    real = {cut.id: cut for cut in read(tmp_path / "out/cuts_dt05_real.jsonl.gz")}
    cut = real["isolated/dt05_str_real/M03_050C0101_STR.CH6"]
    assert text_of(cut) == 'SHE SAID "YES"'
    names = ("speaker", "split", "kind", "environment", "label", "utterance", "channel")
    assert [column(cut, name) for name in names] == ["M03", "dt05", "real", "str", "str", "M03_050C0101_STR", "6"]
    assert str(column(cut, "close_talk")).endswith("/isolated/dt05_str_real/M03_050C0101_STR.CH0.wav")
    assert column(cut, "booth") is None

    simulated = {cut.id: cut for cut in read(tmp_path / "out/cuts_dt05_simu.jsonl.gz")}
    cut = simulated["isolated/dt05_bus_simu/F01_050C0101_BUS.CH4"]
    assert text_of(cut) == "A POINT FIVE PERCENT -DASH RISE"
    assert str(column(cut, "booth")).endswith("/isolated/dt05_bth/F01_050C0101_BTH.CH4.wav")
    assert column(cut, "close_talk") is None

    (cut,) = read(tmp_path / "out/cuts_tr05_simu.jsonl.gz")
    assert (text_of(cut), column(cut, "speaker")) == ("THE SALE OF HOTELS ROSE", "011")
    assert str(column(cut, "original")).endswith("/si_tr_s/011/011c0201.wv1")
    booth = read(tmp_path / "out/cuts_dt05_bth.jsonl.gz")[0]
    assert (text_of(booth), column(booth, "kind"), column(booth, "label")) == ("B", "booth", "bth")


def test_the_one_channel_track_is_read_from_its_list_or_its_folder(corpus: Path, tmp_path: Path, save: object) -> None:
    chime4.prepare(corpus, tmp_path / "out")
    listed = [cut.id for cut in read(tmp_path / "out/cuts_dt05_simu_1ch.jsonl.gz")]
    assert listed[0] == "isolated/dt05_bus_simu/F01_050C0101_BUS.CH3"
    assert listed[-1] == "isolated/dt05_str_simu/M03_050C0101_STR.CH6"
    track = corpus / "CHiME4/data/audio/16kHz/isolated_1ch_track/dt05_bus_simu"
    save(track / "M03_050C0101_BUS.wav", 0.1)
    chime4.prepare(corpus, tmp_path / "again")
    (cut,) = read(tmp_path / "again/cuts_dt05_simu_1ch.jsonl.gz")
    assert (cut.id, column(cut, "channel")) == ("isolated_1ch_track/dt05_bus_simu/M03_050C0101_BUS", "6")
    assert str(column(cut, "booth")).endswith("M03_050C0101_BTH.CH6.wav")


def test_close_talk_and_references_of_other_tracks(corpus: Path, tmp_path: Path, save: object) -> None:
    audio = corpus / "CHiME4/data/audio/16kHz"
    name = "F01_050C0101_BUS"
    save(audio / f"isolated_ext/dt05_bus_simu/{name}.CH4.Clean.wav", 0.1)
    headset = audio / f"isolated/dt05_bus_real/{name}.CH0.wav"
    moved = audio / f"isolated_6ch_track/dt05_bus_real/{name}.CH0.wav"
    moved.parent.mkdir(parents=True)
    headset.rename(moved)
    chime4.prepare(corpus, tmp_path / "out", channels=[4])
    (real, *_), (simulated, *_) = (read(tmp_path / f"out/cuts_dt05_{kind}.jsonl.gz") for kind in ("real", "simu"))
    assert column(real, "close_talk") == str(moved)
    assert str(column(simulated, "clean")).endswith(f"{name}.CH4.Clean.wav")


def test_simulated_training_needs_wsj0(corpus: Path, tmp_path: Path) -> None:
    wsj0 = corpus / "elsewhere"
    (corpus / "CHiME4/data/WSJ0").rename(wsj0)
    with pytest.raises(DataError, match="give WSJ0 for simulated training"):
        chime4.prepare(corpus, tmp_path / "out")
    chime4.prepare(corpus, tmp_path / "out", wsj0=wsj0)
    assert column(read(tmp_path / "out/cuts_tr05_simu.jsonl.gz")[0], "original") is not None


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must exist, but does not; give the folder that holds data/audio/16kHz"):
        chime4.prepare(tmp_path, tmp_path / "out")
