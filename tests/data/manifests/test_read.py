import gzip
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from lhotse import CutSet, MonoCut, Recording

from noisewise.data.corpora import shards
from noisewise.data.corpora.preparation import write_cuts
from noisewise.data.corpora.table import prepare
from noisewise.data.manifests.lhotse_format import dump, parse
from noisewise.data.manifests.read import column, load_audio, path_of, read, read_many, stream, text_of
from noisewise.errors import DataError


def test_a_folder_with_a_table(speech: Path) -> None:
    cuts = list(read(speech))
    assert [cut.id for cut in cuts[:2]] == ["train/u0", "train/u1"]
    assert cuts[0].duration == pytest.approx(0.4)
    assert (text_of(cuts[0]), column(cuts[0], "speaker"), column(cuts[0], "split")) == (
        "YES A",
        "s0",
        "train",
    )
    assert Path(path_of(cuts[0])) == speech / "train/u0.flac"
    assert len(load_audio(cuts[0])) == 6400


def test_filters_choose_by_any_column(speech: Path) -> None:
    assert len(read(f"{speech}#split=test")) == 3
    assert len(read(speech, split="test")) == 3
    assert {cut.id for cut in read(f"{speech}#split=test&speaker=s1")} == {"test/u9", "test/u11"}
    assert {cut.id for cut in read(f"{speech}#split=test&speaker!=s1")} == {"test/u10"}
    assert len(read(f"{speech}#split=train,test")) == 12


def test_held_out_recordings_are_whole_sources_the_same_in_any_manifest(tmp_path: Path) -> None:
    """Two recordings of each of 60 sources: about a quarter of the sources, both of each, and the others."""
    rows = [(f"{take}_{source}.wav", f"s{source}") for source in range(60) for take in "ab"]
    for name, _ in rows:
        (tmp_path / name).touch()
    table = tmp_path / "manifest.tsv"
    table.write_text("path\tspeaker\n" + "".join(f"{name}\t{source}\n" for name, source in rows))
    held, kept = (list(read(f"{tmp_path}#held_out{sign}=0.25")) for sign in ("", "!"))
    sources = [{column(cut, "speaker") for cut in part} for part in (held, kept)]
    assert not sources[0] & sources[1] and len(sources[0] | sources[1]) == 60
    assert len(held) + len(kept) == 120 and 8 <= len(sources[0]) <= 22
    assert {cut.id for cut in read(f"{tmp_path}#held_out=0.1")} <= {cut.id for cut in held}
    table.write_text("path\trecording\n" + "".join(f"{name}\t{source}\n" for name, source in rows[:30]))
    assert {cut.id for cut in read(f"{tmp_path}#held_out=0.25")} == {
        cut.id for cut in held if cut.id in {name.removesuffix(".wav") for name, _ in rows[:30]}
    }
    for share in ("0", "1", "x", ""):
        with pytest.raises(DataError, match="must hold out a share between 0 and 1"):
            read(f"{tmp_path}#held_out={share}")


def test_a_filter_that_leaves_nothing_says_so(speech: Path) -> None:
    with pytest.raises(DataError, match=r"at least one entry.*split.*dev"):
        read(f"{speech}#split=dev")
    with pytest.raises(DataError, match="column=value"):
        read(f"{speech}#test")
    with pytest.raises(DataError, match="whole number"):
        read(f"{speech}#repeat=x")


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ("speeker!=s1", "`speeker` is in no entry"),
        ("speaker!=s1,s99", "`speaker` holds no 's99'"),
        ("speaker!=s0&speaker!=s1", "must name `speaker!` once"),
    ],
)
def test_a_slip_in_what_is_left_out_keeps_nobody_in(speech: Path, slip: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(f"{speech}#split=train&{slip}")
    with pytest.raises(DataError, match=message):
        list(stream(f"{speech}#split=train&{slip}"))


def test_two_entries_of_one_id_are_refused(speech: Path, tmp_path: Path) -> None:
    cuts = list(read(speech))[:2]
    lines = [json.dumps(dump(cut)) + "\n" for cut in (*cuts, cuts[0])]
    (tmp_path / "cuts.jsonl").write_text("".join(lines))
    with pytest.raises(DataError, match="'train/u0' more than once"):
        read(tmp_path / "cuts.jsonl")


def test_repeat_gives_copies_with_ids_of_their_own(speech: Path) -> None:
    cuts = list(read(f"{speech}#split=test&repeat=3"))
    assert len(cuts) == 9
    assert len({cut.id for cut in cuts}) == 9
    assert cuts[3].id == "test/u9~2"
    np.testing.assert_array_equal(load_audio(cuts[0]), load_audio(cuts[3]))


def test_environment_variables_are_expanded(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISEWISE_TEST_DATA", str(speech.parent))
    assert len(read("$NOISEWISE_TEST_DATA/speech#split=test")) == 3
    with pytest.raises(DataError, match="unset environment variable"):
        read("$NOISEWISE_NOWHERE/speech")


def test_lhotse_cuts_survive_a_round_trip_and_a_move(speech: Path, tmp_path: Path) -> None:
    cuts = list(read(speech))
    write_cuts(speech / "cuts.jsonl.gz", cuts)
    assert str(tmp_path) not in gzip.decompress((speech / "cuts.jsonl.gz").read_bytes()).decode()
    moved = speech.rename(tmp_path / "moved")
    again = list(read(moved / "cuts.jsonl.gz"))
    assert [cut.id for cut in again] == [cut.id for cut in cuts]
    assert column(again[0], "split") == "train"
    assert len(load_audio(again[0])) == 6400


def test_lhotse_itself_reads_what_we_write(speech: Path) -> None:
    write_cuts(speech / "cuts.jsonl.gz", read(speech))
    assert next(cut.supervisions[0].text for cut in CutSet.from_file(speech / "cuts.jsonl.gz")) == "YES A"


def test_a_part_of_a_recording(speech: Path) -> None:
    cut = replace(list(read(speech))[8], start=0.25, duration=0.5)
    whole, _ = soundfile.read(speech / "train/u8.flac", dtype="float32")
    np.testing.assert_array_equal(load_audio(cut), whole[4000:12_000])


def test_stereo_is_the_mean_unless_a_cut_names_the_channel(tmp_path: Path) -> None:
    left = 0.25 * (-1) ** np.arange(1600)
    right = 3 * left
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), 16_000)
    cut = next(iter(read(tmp_path)))
    assert load_audio(cut)[0] == pytest.approx(0.5, abs=1e-4)
    stereo = Recording.from_file(tmp_path / "stereo.wav")
    cut = MonoCut("right", start=0, duration=0.1, channel=1, recording=stereo)
    write_cuts(tmp_path / "right.jsonl.gz", [parse(cut.to_dict())])
    assert load_audio(next(iter(read(tmp_path / "right.jsonl.gz"))))[0] == pytest.approx(0.75, abs=1e-4)


def test_joining_manifests_needs_unique_ids(speech: Path) -> None:
    assert len(read_many([f"{speech}#split=train", f"{speech}#split=test"])) == 12
    with pytest.raises(DataError, match=r"must not repeat ids.*train/u0"):
        read_many([speech, f"{speech}#split=train"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.tsv", None, "no such path"),
        ("a.xlsx", "x", "must be a table"),
        ("a.jsonl.gz", "not gzip", "must be lines of text"),
        ("cuts.jsonl.gz", json.dumps({"type": "MixedCut"}), "must be a MonoCut"),
    ],
)
def test_sources_that_cannot_be_read(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(gzip.compress(content.encode()) if name.startswith("cuts") else content.encode())
    with pytest.raises(DataError, match=message):
        read(path)


def test_a_stream_gives_what_reading_gives(speech: Path) -> None:
    write_cuts(speech / "cuts.jsonl.gz", read(speech))
    for source in (speech, speech / "cuts.jsonl.gz"):
        assert [cut for _, cut in stream(f"{source}#split=test")] == list(read(f"{source}#split=test"))
    assert [line for line, _ in stream(f"{speech}#split=test")] == [11, 12, 13]


def test_a_stream_goes_on_after_a_bad_line(speech: Path) -> None:
    write_cuts(speech / "cuts.jsonl.gz", read(speech))
    lines = gzip.decompress((speech / "cuts.jsonl.gz").read_bytes()).splitlines(keepends=True)
    (speech / "cuts.jsonl").write_bytes(b"".join([lines[0], b"{}\n", lines[1]]))
    entries = list(stream(speech / "cuts.jsonl"))
    assert [isinstance(entry, DataError) for _, entry in entries] == [False, True, False]
    with pytest.raises(DataError, match=r"line 2: must be a MonoCut"):
        read(speech / "cuts.jsonl")


SEEDS = [
    b"path\ttext\na.wav\tA\n",
    b'path,text\n"a.wav",A\n',
    b'{"path": "a.wav", "text": "A"}\n',
    b'{"type": "MonoCut"}',
]


@given(
    st.sampled_from(["a.tsv", "a.csv", "a.jsonl", "a.jsonl.gz"]),
    st.one_of(
        st.binary(max_size=80),
        st.tuples(st.sampled_from(SEEDS), st.integers(0, 20), st.binary(max_size=5)).map(
            lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
        ),
        st.dictionaries(
            st.sampled_from(["type", "id", "path", "start", "duration", "recording", "supervisions", "text", "custom"]),
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.just("MonoCut")),
        ).map(lambda values: json.dumps({"type": "MonoCut", **values}).encode()),
    ),
    st.booleans(),
)
def test_any_bytes_are_a_manifest_or_a_manifest_error(name: str, content: bytes, compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(gzip.compress(content) if compressed and name.endswith("gz") else content)
        try:
            entries = [entry for _, entry in stream(path)]
        except DataError as error:
            assert str(path) in str(error)
            return
        for entry in entries:
            assert isinstance(entry, DataError) or (entry.id and path_of(entry).startswith(folder))


@given(st.binary(max_size=30))
def test_any_text_is_a_source_or_a_manifest_error(source: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(DataError):
        read(f"{folder}/{source.decode('utf-8', 'surrogateescape')}")


@pytest.mark.parametrize("name", ["take#1", "cash$", "a#b=c#d", "$HOME", "~", "100%", "#", "a#split=test", "ü # $x"])
def test_a_path_that_exists_is_taken_as_it_is(speech: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(speech.parent)
    speech.rename(speech.parent / name)
    for path in (name, f"{speech.parent}/{name}"):
        assert len(read(path)) == 12
        assert [cut.id for cut in read(f"{path}#split=test&speaker=s0")] == ["test/u10"]
        assert read(f"{path}/manifest.tsv")[0].id == "train/u0"


def test_variables_are_replaced_where_no_such_path_is(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speech.rename(speech.parent / "a$#1")
    monkeypatch.setenv("PLACE", f"{speech.parent}/a$#1")
    assert len(read("$PLACE")) == len(read("${PLACE}/manifest.tsv")) == 12
    assert len(read("$PLACE#split=test")) == 3
    with pytest.raises(DataError, match="unset environment variable"):
        read("$NO_SUCH_PLACE/an4#split=test")
    with pytest.raises(DataError, match=r"`gone\$` must be a manifest or a folder, but there is no such path"):
        read("gone$#split=test")


def test_a_prepared_folder_is_a_manifest(speech: Path, tmp_path: Path) -> None:
    prepare(speech, tmp_path / "out")
    assert {cut.id for cut in read(tmp_path / "out")} == {cut.id for cut in read(speech)}
    assert {cut.id for cut in read(f"{tmp_path}/out#split=test")} == {"test/u9", "test/u10", "test/u11"}
    assert len([entry for _, entry in stream(tmp_path / "out")]) == 12
    write_cuts(tmp_path / "other/cuts_dev.jsonl.gz", [replace(cut, custom={}) for cut in read(speech)])
    assert len(read(tmp_path / "other", split="dev")) == 12


def test_a_folder_of_shards_is_a_manifest(speech: Path, tmp_path: Path) -> None:
    shards.prepare(speech, tmp_path / "out", shard_size=5, workers=1)
    assert [cut.id for cut in read(tmp_path / "out")] == [cut.id for cut in read(speech)]


@pytest.mark.parametrize("times", ["²", "9" * 5000, "-1", "x", ""])
def test_repetitions_are_a_whole_number(times: str, speech: Path) -> None:
    with pytest.raises(DataError, match="whole number"):
        read(f"{speech}#repeat={times}")
