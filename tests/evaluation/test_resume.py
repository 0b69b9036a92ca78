"""What is kept of a run that was killed."""

import base64
from pathlib import Path

import pytest

from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import in_noise
from noisewise.evaluation.resume import Partial
from noisewise.evaluation.tags import ScoreCell
from noisewise.evaluation.words import TextCell


def test_a_run_that_is_killed_as_it_goes_on_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "partial"
    first = Partial(path, {"seed": 0}, TextCell)
    for snr_db in (0.0, 5.0):
        first.add(TextCell(in_noise("car", snr_db), ["A"], {}, 0, "m"))

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            Partial(path, {"seed": 0}, TextCell)
    assert list(Partial(path, {"seed": 0}, TextCell).cells) == [in_noise("car", 0.0), in_noise("car", 5.0)]


@pytest.mark.parametrize(
    "broken",
    [b"\xff\n", b"[" * 100_000 + b"\n", b'{"a": ' + b"9" * 5000 + b"}\n", b"7\n", b'{"condition": {}}\n', b'{"cond'],
    ids=["bytes", "deep", "digits", "number", "types", "cut"],
)
def test_lines_that_cannot_be_read_are_measured_again(broken: bytes, tmp_path: Path) -> None:
    path = tmp_path / "partial"
    first = Partial(path, {"seed": 0}, TextCell)
    first.add(TextCell(in_noise("car", 0.0), ["A"], {}, 0, "m"))
    path.write_bytes(path.read_bytes() + broken)
    again = Partial(path, {"seed": 0}, TextCell)
    assert list(again.cells) == [in_noise("car", 0.0)] and again.broken_lines == 1
    assert Partial(path, {"seed": 0}, TextCell).broken_lines == 0, "the file is whole again"


def test_another_number_of_recordings_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "partial"
    first = Partial(path, {"seed": 0}, TextCell)
    first.add(TextCell(in_noise("car", 0.0), ["A", "B"], {}, 0, "m", {"ctc": [[1.0, 2.0], [0.0, 0.0]]}))
    first.add(TextCell(in_noise("car", 5.0), ["A"], {}, 0, "m"))
    first.add(TextCell(in_noise("car", 10.0), ["A", "B"], {}, 0, "m", {"ctc": [[1.0, 2.0]]}))
    found = Partial(path, {"seed": 0}, TextCell, items=2)
    assert list(found.cells) == [in_noise("car", 0.0)] and found.broken_lines == 2


def test_scores_are_of_all_clips(tmp_path: Path) -> None:
    path = tmp_path / "partial"
    first = Partial(path, {"seed": 0}, ScoreCell)
    for snr_db, count in ((0.0, 6), (5.0, 5), (10.0, 0)):
        scores = base64.b64encode(bytes(4 * count)).decode()
        first.add(ScoreCell(in_noise("car", snr_db), scores, {}, 0, "m"))
    assert list(Partial(path, {"seed": 0}, ScoreCell, items=3).cells) == [in_noise("car", 0.0)]


@pytest.mark.parametrize("first", [b"7\n", b"[" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}", b"\xff", b'"a"\n'])
def test_another_file_is_refused(first: bytes, tmp_path: Path) -> None:
    (tmp_path / "partial").write_bytes(first)
    with pytest.raises(EvaluationError, match="differs in seed; delete it"):
        Partial(tmp_path / "partial", {"seed": 0}, TextCell)
