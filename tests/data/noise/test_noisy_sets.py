import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.data.manifests.read import column, load_audio, read
from noisewise.data.noise import noisy_sets as ledger
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import DataError
from noisewise.files import replaced
from tests.test_files import limited_files

SNRS = [0.0, 7.5, -5.0]


def mixed(speech: Path, noise: Path, out: Path, **values: object) -> ledger.Written:
    pool = NoisePool.load(NoiseConfig(manifest=str(noise)), 3)
    cuts = list(read(f"{speech}#split=test"))
    return ledger.write(cuts, pool, out, snrs_db=SNRS, **values)  # type: ignore[arg-type]


def test_every_utterance_with_every_type_at_every_snr(speech: Path, noise: Path, tmp_path: Path) -> None:
    made = mixed(speech, noise, tmp_path / "out")
    assert len(made.entries) == 3 * 3 * 3 and not made.rejected
    assert (tmp_path / "out/cafe/7.5/test/u9.flac").is_file()
    cuts = list(read(tmp_path / "out"))
    assert {column(cut, "label") for cut in cuts} == {"cafe", "car", "metro"}
    assert {column(cut, "snr_db") for cut in cuts} == {"0", "7.5", "-5"}
    assert {column(cut, "text") for cut in cuts} == {"YES J", "YES K", "YES L"}
    header, entries = ledger.read(tmp_path / "out")
    assert entries == made.entries
    assert (header["seed"], header["snr_db"], header["types"]) == (3, SNRS, ["cafe", "car", "metro"])
    assert str(tmp_path) not in (tmp_path / "out/ledger.jsonl").read_text()


def test_snr_of_the_files_themselves(speech: Path, noise: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    clean = {cut.id: load_audio(cut).astype(np.float64) for cut in read(speech)}
    for entry in mixed(speech, noise, out).entries:
        file, rate = soundfile.read(out / entry.path, dtype="float64")
        speech_part = entry.scale * clean[entry.speech.id]
        measured = 10 * np.log10(np.sum(speech_part**2) / np.sum((file - speech_part) ** 2))
        assert rate == 16_000
        assert abs(entry.measured_snr_db - entry.snr_db) < 0.01
        assert abs(measured - entry.written_snr_db) < 1e-6
        assert abs(measured - entry.snr_db) < 0.01


def test_the_mixtures_are_those_of_the_pool(speech: Path, noise: Path, tmp_path: Path) -> None:
    mixed(speech, noise, tmp_path / "out")
    pool = NoisePool.load(NoiseConfig(manifest=str(noise)), 3)
    cut = next(iter(read(f"{speech}#split=test")))
    noisy, _, _ = pool.at(cut.id, "metro", 7.5, load_audio(cut))
    file, _ = soundfile.read(tmp_path / "out/metro/7.5/test/u9.flac", dtype="float32")
    np.testing.assert_allclose(file, noisy, atol=0.51 / 32768)


def test_a_loud_mixture_is_scaled_and_not_clipped(speech: Path, noise: Path, tmp_path: Path) -> None:
    wave, _ = soundfile.read(speech / "test/u9.flac")
    soundfile.write(speech / "test/u9.flac", wave / np.abs(wave).max(), 16_000)
    entries = [entry for entry in mixed(speech, noise, tmp_path / "out").entries if entry.speech.id == "test/u9"]
    assert all(entry.scale < 1 for entry in entries if entry.snr_db < 0)
    for entry in entries:
        file, _ = soundfile.read(tmp_path / "out" / entry.path, dtype="int16")
        assert np.abs(file.astype(int)).max() <= 32767
        assert abs(entry.written_snr_db - entry.snr_db) < 0.01


def test_rebuilt_bit_for_bit_elsewhere(speech: Path, noise: Path, tmp_path: Path) -> None:
    mixed(speech, noise, tmp_path / "out")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    voices, noises = list(read(speech.rename(elsewhere / "v"))), list(read(noise.rename(elsewhere / "n")))
    assert ledger.rebuild(tmp_path / "out", voices[::-1], noises[::-1], tmp_path / "again") == []
    first, again = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "out", tmp_path / "again")
    )
    assert first == again


def test_verify_finds_one_changed_sample(speech: Path, noise: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    entries = mixed(speech, noise, out).entries
    assert ledger.verify(out, entries) == []
    file, _ = soundfile.read(out / entries[0].path, dtype="int16")
    file[100] += 1
    soundfile.write(out / entries[0].path, file, 16_000, subtype="PCM_16")
    (out / entries[1].path).unlink()
    found = ledger.verify(out, entries)
    assert [(item.path, item.reason) for item in found] == [
        (entries[0].path, "differs"),
        (entries[1].path, "missing"),
    ]


def test_rebuild_refuses_other_sources(speech: Path, noise: Path, tmp_path: Path) -> None:
    entries = mixed(speech, noise, tmp_path / "out").entries
    wave, _ = soundfile.read(speech / "test/u9.flac", dtype="int16")
    wave[7] += 1
    soundfile.write(speech / "test/u9.flac", wave, 16_000, subtype="PCM_16")
    (noise / "car/0.wav").unlink()
    text = (noise / "manifest.tsv").read_text().replace("car/0.wav\tcar\ttrain\n", "")
    (noise / "manifest.tsv").write_text(text)
    problems = ledger.rebuild(tmp_path / "out", list(read(speech)), list(read(noise)), tmp_path / "again")
    paths = {problem.path for problem in problems}
    assert paths == {entry.path for entry in entries if entry.speech.id == "test/u9" or entry.noise.id == "car/0"}
    assert not any((tmp_path / "again" / path).exists() for path in paths)
    assert any("speech" in problem.message and "changed" in problem.message for problem in problems)


def test_gain_and_scale_are_used_as_stored(speech: Path, noise: Path, tmp_path: Path) -> None:
    mixed(speech, noise, tmp_path / "out")
    header, entries = ledger.read(tmp_path / "out")
    doubled = replace(entries[0], gain=entries[0].gain * 2)
    (tmp_path / "out/ledger.jsonl").write_text(ledger._lines(header, [doubled]))
    (problem,) = ledger.rebuild(tmp_path / "out", list(read(speech)), list(read(noise)), tmp_path / "again")
    assert "must come out with the samples of the ledger" in problem.message


def test_one_type_for_each_utterance(speech: Path, noise: Path, tmp_path: Path) -> None:
    entries = mixed(speech, noise, tmp_path / "out", per_utterance=True).entries
    assert len(entries) == 3 * 3
    assert all(
        len({entry.noise.type for entry in entries if entry.speech.id == f"test/u{n}"}) == 1 for n in (9, 10, 11)
    )


def test_a_bad_utterance_is_listed_and_the_rest_written(speech: Path, noise: Path, tmp_path: Path) -> None:
    (speech / "test/u10.flac").write_bytes(b"")
    made = mixed(speech, noise, tmp_path / "out")
    assert len(made.entries) == 2 * 9
    assert [item.reason for item in made.rejected] == ["empty"]


def test_an_id_cannot_lead_out_of_the_folder(speech: Path, noise: Path, tmp_path: Path) -> None:
    cut = next(iter(read(speech))).with_id("../../../outside")
    pool = NoisePool.load(NoiseConfig(manifest=str(noise)), 3)
    ledger.write([cut], pool, tmp_path / "out", snrs_db=[0.0])
    found = list(tmp_path.rglob("outside.flac"))
    assert found and all(path.is_relative_to(tmp_path / "out") for path in found)


@pytest.mark.parametrize("content", ["", "{}", '{"ledger": 2}', '{"ledger": 1}\n{"id": "x"}', "not json"])
def test_a_broken_ledger(tmp_path: Path, content: str) -> None:
    (tmp_path / "ledger.jsonl").write_text(content)
    with pytest.raises(DataError, match="must be a ledger"):
        ledger.read(tmp_path)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("again", [False, True])
def test_a_full_disk_is_the_systems_error_and_the_same_call_goes_on(
    share: float, again: bool, speech: Path, noise: Path, tmp_path: Path
) -> None:
    """With a limit of the size of files in the place of the disk's; libsndfile names neither."""
    whole = mixed(speech, noise, tmp_path / "whole")
    sizes = sorted(path.stat().st_size for path in (tmp_path / "whole").rglob("*.flac"))

    def make() -> None:
        if again:
            ledger.rebuild(tmp_path / "whole", list(read(speech)), list(read(noise)), tmp_path / "out")
        else:
            assert mixed(speech, noise, tmp_path / "out").entries == whole.entries

    with limited_files(sizes[int(share * len(sizes))] - 100), pytest.raises(OSError, match="File too large") as caught:
        make()
    assert caught.value.errno == errno.EFBIG and str(caught.value.filename).endswith(".flac")
    assert not list((tmp_path / "out").rglob(".*")) and not (tmp_path / "out" / "ledger.jsonl").exists()
    make()
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.*") if path.is_file()]
    assert all((tmp_path / "out" / path).read_bytes() == (tmp_path / "whole" / path).read_bytes() for path in files)


def test_what_a_killed_run_left_is_removed(speech: Path, noise: Path, tmp_path: Path) -> None:
    left = tmp_path / "out" / "cafe" / "0" / "test"
    process = os.fork()
    if process == 0:
        with replaced(left / "u9.flac"):
            os._exit(9)
    os.waitpid(process, 0)
    assert len(list(left.iterdir())) == 1
    mixed(speech, noise, tmp_path / "out")
    assert sorted(path.name for path in left.iterdir()) == ["u10.flac", "u11.flac", "u9.flac"]


def test_json_keeps_floats_to_the_last_bit(speech: Path, noise: Path, tmp_path: Path) -> None:
    entries = mixed(speech, noise, tmp_path / "out").entries
    lines = (tmp_path / "out/ledger.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["gain"] for line in lines] == [entry.gain for entry in entries]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gain", None),
        ("gain", [1, 2]),
        ("gain", float("inf")),
        ("scale", "loud"),
        ("snr_db", {}),
        ("snr_db", float("nan")),
        ("samples", {"n": 1}),
        ("samples", -1),
        ("path", 3),
        ("speech.id", {}),
        ("noise.id", []),
        ("noise.offset", 1e30),
        ("noise.offset", -5),
        ("noise.type", ["cafe"]),
    ],
)
def test_entries_of_a_ledger_are_typed(key: str, value: object, speech: Path, noise: Path, tmp_path: Path) -> None:
    mixed(speech, noise, tmp_path / "out")
    path = tmp_path / "out/ledger.jsonl"
    header, first, *others = path.read_text().splitlines()
    values = json.loads(first)
    where, _, name = key.rpartition(".")
    (values[where] if where else values)[name] = value
    path.write_text("\n".join([header, json.dumps(values), *others]))
    with pytest.raises(DataError, match="line 2"):
        ledger.read(path)


@pytest.mark.parametrize(
    "first", [b"", b"[]", b"3", b'{"ledger": 2}', b'{"ledger": 1, "versions": 3}', b"\xff", b"[" * 99_999]
)
def test_a_header_of_another_kind_is_refused(first: bytes, tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(first)
    with pytest.raises(DataError, match="must be a ledger of version 1"):
        ledger.read(tmp_path)
