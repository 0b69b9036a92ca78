"""lhotse's JSON, beside lhotse itself."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from lhotse import CutSet, MonoCut, SupervisionSegment
from lhotse.qa import validate
from lhotse.testing.dummies import dummy_recording

from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.lhotse_format import cuts, dump, parse
from noisewise.data.manifests.read import read
from noisewise.errors import DataError


def foreign() -> dict[str, Any]:
    """A cut with more than the package has a use for."""
    said = [
        SupervisionSegment("a", "r", 0.0, 0.4, text="YES", speaker="s1", language="en", gender="f"),
        SupervisionSegment("b", "r", 0.4, 0.3, text="NO", custom={"mood": "bad"}),
    ]
    recording = dummy_recording(0, duration=1.0, with_data=False)
    recording.id = "r"
    values: dict[str, Any] = MonoCut(
        "c", start=0.1, duration=0.75, channel=0, supervisions=said, recording=recording, custom={"label": "x", "n": 3}
    ).to_dict()
    values["recording"]["sources"][0].update(type="file", source="r.wav")
    return values


def test_what_is_dumped_is_what_lhotse_would_write(speech: Path) -> None:
    for cut in read(speech):
        theirs = MonoCut.from_dict(dump(cut))
        validate(theirs)
        assert json.dumps(theirs.to_dict()) == json.dumps(dump(cut))


def test_what_the_package_has_no_use_for_is_kept() -> None:
    values = foreign()
    cut = parse(copy.deepcopy(values))
    assert (cut.text, cut.speaker, cut.custom["n"]) == ("YES NO", "s1", 3)
    assert (cut.start, cut.duration, cut.recording_seconds, cut.sample_rate) == (0.1, 0.75, 1.0, 16_000)
    assert not cut.is_whole and not cut.needs_lhotse
    assert dump(cut) == values
    renamed = dump(cut.with_id("d"))
    assert renamed == {**values, "id": "d"}
    renamed["custom"]["label"] = "y"
    assert dump(cut) == values


def test_a_cut_that_holds_no_more_than_ours_is_kept_without_lhotses_values(speech: Path) -> None:
    for cut in read(speech):
        values = dump(cut)
        again = parse(copy.deepcopy(values))
        assert again.lhotse is None and again == cut and dump(again) == values
    assert parse(foreign()).lhotse == foreign()


def test_parsing_agrees_with_lhotse() -> None:
    values = foreign()
    theirs = next(iter(CutSet.from_dicts([copy.deepcopy(values)])))
    ours = parse(values, Path("/corpus"))
    assert (ours.id, ours.start, ours.duration, ours.custom) == (
        theirs.id,
        theirs.start,
        theirs.duration,
        theirs.custom,
    )
    assert ours.path == "/corpus/r.wav" and ours.channels == theirs.recording.num_channels


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("id",), 3),
        (("start",), -1.0),
        (("duration",), 0),
        (("duration",), "1"),
        (("duration",), float("inf")),
        (("custom",), ["a"]),
        (("supervisions", 0, "text"), 7),
        (("recording", "sampling_rate"), 0),
        (("recording", "sampling_rate"), None),
        (("recording", "num_samples"), True),
    ],
)
def test_a_field_of_the_wrong_kind_is_named_with_its_line(
    tmp_path: Path, place: tuple[str | int, ...], value: object
) -> None:
    values: Any = foreign()
    part = values
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    lines = [json.dumps(foreign()), json.dumps(values)]
    (tmp_path / "cuts.jsonl").write_text("\n".join(lines) + "\n")
    (_, good), (line, bad) = cuts(tmp_path / "cuts.jsonl")
    assert isinstance(good, Cut) and line == 2
    assert isinstance(bad, DataError) and "line 2: must hold the fields of a MonoCut" in str(bad)


def test_cuts_without_a_file_are_refused(tmp_path: Path) -> None:
    without, stored = foreign(), foreign()
    del without["recording"]
    stored["recording"]["sources"][0]["type"] = "memory"
    (tmp_path / "cuts.jsonl").write_text(json.dumps(without) + "\n" + json.dumps(stored) + "\n")
    for _, found in cuts(tmp_path / "cuts.jsonl"):
        assert isinstance(found, DataError) and "must have an audio file, but 'c' has none" in str(found)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("channel", 0.5),
        ("channel", {}),
        ("recording.channel_ids", 2.5),
        ("recording.channel_ids", "ab"),
        ("recording.channel_ids", [[]]),
        ("recording.transforms", 7),
        ("recording.duration", [1.0]),
        ("recording.sampling_rate", float("inf")),
        ("start", float("inf")),
        ("id", {}),
    ],
)
def test_fields_of_other_types_are_refused(where: str, value: object) -> None:
    values = foreign()
    inside, _, name = where.rpartition(".")
    (values[inside] if inside else values)[name] = value
    with pytest.raises(ValueError):
        parse(values)
