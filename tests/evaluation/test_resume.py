"""What is kept of a run that was killed."""

from pathlib import Path

import pytest

from noisewise.evaluation.resume import Condition, HeardCell, Partial


def test_a_run_that_is_killed_as_it_goes_on_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "partial"
    first = Partial(path, {"seed": 0}, HeardCell)
    for snr_db in (0.0, 5.0):
        first.add(HeardCell(Condition("car", snr_db), ["A"], {}, 0, "m"))

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            Partial(path, {"seed": 0}, HeardCell)
    assert list(Partial(path, {"seed": 0}, HeardCell).cells) == [Condition("car", 0.0), Condition("car", 5.0)]
