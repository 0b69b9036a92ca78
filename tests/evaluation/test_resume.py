"""What is kept of a run that was killed."""

from pathlib import Path

import pytest

from noisewise.evaluation.conditions import in_noise
from noisewise.evaluation.resume import Partial
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
