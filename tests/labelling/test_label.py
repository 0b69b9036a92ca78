import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from noisewise.data.corpora.preparation import write_cuts
from noisewise.data.manifests import lhotse_format
from noisewise.data.manifests.read import load_audio, read, text_of
from noisewise.decoding.hypothesis import Word
from noisewise.errors import ConfigError, DataError
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Timed, Waveform
from noisewise.labelling import label as module
from noisewise.labelling.criteria import Criteria
from noisewise.labelling.label import label, labelled, rejected_file

TEXTS = ["Go home.", "Stop there!", "Chapter 1 begins.", "", "no no no no no", "It is fine."]


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """A recording for each of `TEXTS`, whose level tells which, and a broken one."""
    folder = tmp_path / "speech"
    folder.mkdir()
    for place in range(len(TEXTS)):
        wave = np.tile([1, -1], 8000) * (place + 1) / 32
        soundfile.write(folder / f"u{place}.wav", wave, 16_000)
    (folder / "u9.wav").write_bytes(b"broken")
    rows = "".join(f"u{place}.wav\ts{place % 2}\n" for place in (*range(len(TEXTS)), 9))
    (folder / "manifest.tsv").write_text("path\tspeaker\n" + rows)
    return folder


def place_of(waveform: Waveform) -> int:
    return round(float(np.abs(waveform).max()) * 32) - 1


def named(name: str = "python:mine:f", texts: list[str] = TEXTS, **details: str) -> NamedRecogniser:
    return NamedRecogniser(name, lambda waveforms: [texts[place_of(each)] for each in waveforms], details)


ALL = Criteria(confidence=0.0)


def test_what_is_kept_is_a_manifest_and_the_rest_is_listed(speech: Path, tmp_path: Path) -> None:
    output = tmp_path / "out/labels.jsonl.gz"
    labels = label(speech, [named(weights_sha256="abc")], output, ALL)
    cuts = list(read(output))
    assert [(cut.id, text_of(cut), cut.speaker) for cut in cuts] == [
        ("u0", "Go home.", "s0"),
        ("u1", "Stop there!", "s1"),
        ("u5", "It is fine.", "s1"),
    ]
    assert all(load_audio(cut).size == 16_000 for cut in cuts)
    assert cuts[0].custom["labelled"]["by"] == [{"model": "python:mine:f", "weights_sha256": "abc"}]
    lines = [json.loads(line) for line in (tmp_path / "out/labels.rejected.jsonl").read_text().splitlines()]
    assert [(line["id"], line["reasons"]) for line in lines] == [
        ("u2", ["numerals"]),
        ("u3", ["empty"]),
        ("u4", ["repetition"]),
        ("u9", ["audio"]),
    ]
    assert lines[0]["text"] == "Chapter 1 begins." and "u9.wav" in lines[3]["message"]
    assert labels.reasons == {"numerals": 1, "empty": 1, "repetition": 1, "audio": 1}
    assert labels.seconds == 6 and labels.kept_seconds == 3
    assert sorted(path.name for path in output.parent.iterdir()) == ["labels.jsonl.gz", "labels.rejected.jsonl"]


def test_two_recognisers_that_agree(speech: Path, tmp_path: Path) -> None:
    others = ["GO HOME", "STOP HERE", *TEXTS[2:5], "it is fine"]
    label(speech, [named(), named("two", others)], tmp_path / "l.jsonl.gz", Criteria(agreement=0.1))
    cuts = list(read(tmp_path / "l.jsonl.gz"))
    assert [text_of(cut) for cut in cuts] == ["Go home.", "It is fine."]
    about = cuts[0].custom["labelled"]
    assert [each["model"] for each in about["by"]] == ["python:mine:f", "two"]
    assert about["disagreement"] == 0 and about["second_text"] == "GO HOME"


@pytest.mark.parametrize("at_a_time", [1, 2, 100])
def test_the_batch_changes_nothing(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(module, "AT_A_TIME", at_a_time)
    label(speech, [named()], tmp_path / "l.jsonl.gz", ALL)
    monkeypatch.undo()
    label(speech, [named()], tmp_path / "m.jsonl.gz", ALL)
    assert (tmp_path / "l.jsonl.gz").read_bytes() == (tmp_path / "m.jsonl.gz").read_bytes()
    assert (tmp_path / "l.rejected.jsonl").read_bytes() == (tmp_path / "m.rejected.jsonl").read_bytes()


def test_a_run_that_was_ended_goes_on(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_A_TIME", 2)
    asked: list[int] = []

    def run(waveforms: list[Waveform]) -> list[str]:
        if len(asked) >= 4:
            raise KeyboardInterrupt
        asked.extend(place_of(each) for each in waveforms)
        return [TEXTS[place_of(each)] for each in waveforms]

    output = tmp_path / "l.jsonl.gz"
    with pytest.raises(KeyboardInterrupt):
        label(speech, [NamedRecogniser("one", run)], output, ALL)
    assert not output.exists() and asked == [0, 1, 2, 3]
    rest: list[int] = []
    again = NamedRecogniser(
        "one", lambda waves: [rest.append(place_of(each)) or TEXTS[place_of(each)] for each in waves]
    )
    label(speech, [again], output, ALL)
    assert rest == [4, 5] and len(list(read(output))) == 3


def test_a_cache_stays_and_other_bounds_cost_nothing(speech: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.jsonl"
    label(speech, [named()], tmp_path / "l.jsonl.gz", ALL, cache=cache)
    silent = NamedRecogniser("python:mine:f", lambda waveforms: [""] * len(waveforms))
    more = Criteria(confidence=0.0, keeps_numerals=True)
    assert len(label(speech, [silent], tmp_path / "m.jsonl.gz", more, cache=cache).kept) == 4


def test_a_recogniser_that_fails_on_some(speech: Path, tmp_path: Path) -> None:
    def run(waveforms: list[Waveform]) -> list[str | Failure]:
        return [Failure("no answer") if place_of(each) == 1 else TEXTS[place_of(each)] for each in waveforms]

    labels = label(speech, [NamedRecogniser("one", run)], tmp_path / "l.jsonl.gz", ALL)
    assert labels.reasons["failed"] == 1 and labels.rejected[0]["failure"] == "no answer"


def test_confidences_decide(speech: Path, tmp_path: Path) -> None:
    def timed(waveforms: list[Waveform]) -> list[Timed]:
        sure = [0.9 if place_of(each) == 5 else 0.2 for each in waveforms]
        texts = [TEXTS[place_of(each)] for each in waveforms]
        return [Timed(text, [Word(text, 0, 1, each)] if text else []) for text, each in zip(texts, sure, strict=True)]

    one = NamedRecogniser("one", lambda waveforms: [], times="words", with_times=timed)
    label(speech, [one], tmp_path / "l.jsonl.gz", Criteria(confidence=0.8))
    (cut,) = read(tmp_path / "l.jsonl.gz")
    assert text_of(cut) == "It is fine." and cut.custom["labelled"]["confidence"] == 0.9


def test_a_lhotse_cut_keeps_what_it_has_and_gets_the_text(speech: Path, tmp_path: Path) -> None:
    values = lhotse_format.dump(read(speech)[0])
    values["supervisions"] = [
        {"id": "a", "recording_id": "u0", "start": 0.0, "duration": 0.5, "text": "OLD", "speaker": "x", "gender": "F"},
        {"id": "b", "recording_id": "u0", "start": 0.5, "duration": 0.5, "text": "TEXT"},
    ]
    values["custom"] = {"split": "train"}
    made = labelled(lhotse_format.parse(values), "Go home.", {"by": []})
    write_cuts(tmp_path / "l.jsonl.gz", [made])
    (cut,) = read(tmp_path / "l.jsonl.gz")
    assert (text_of(cut), cut.speaker, cut.custom) == ("Go home.", "x", {"split": "train", "labelled": {"by": []}})


def test_evenly_spaced(speech: Path, tmp_path: Path) -> None:
    counts: list[tuple[int, int]] = []
    label(
        speech,
        [named()],
        tmp_path / "l.jsonl.gz",
        ALL,
        limit=3,
        progress=lambda done, total: counts.append((done, total)),
    )
    assert counts == [(1, 3), (2, 3), (3, 3)]
    assert [cut.id for cut in read(tmp_path / "l.jsonl.gz")] == ["u0"]  # of u0, u2, u4


@pytest.mark.parametrize(
    ("output", "models", "bounds", "message"),
    [
        ("labels.tsv", 1, {"confidence": 0.0}, r"must end in \.jsonl\.gz"),
        ("l.jsonl.gz", 1, {"agreement": 0.1}, "give --model2"),
        ("l.jsonl.gz", 2, {}, "a bound must say what is kept"),
    ],
)
def test_what_cannot_be_asked_for(
    speech: Path, tmp_path: Path, output: str, models: int, bounds: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        label(speech, [named()] * models, tmp_path / output, Criteria(**bounds))


def test_nothing_to_keep_is_an_error_and_listed(speech: Path, tmp_path: Path) -> None:
    output = tmp_path / "l.jsonl.gz"
    with pytest.raises(DataError, match="6 empty, 1 audio"):
        label(speech, [named(texts=[""] * 6)], output, ALL)
    assert not output.exists() and len(rejected_file(output).read_text().splitlines()) == 7
