"""The files that sclite reads."""

from pathlib import Path

import pytest

from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.sclite import write_trn
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise

UTTERANCES = [Utterance("a/u 1", "an-n", "It's (one)!", 1.0), Utterance("a/u2", "bob", "TWO", 1.0)]
CELLS = [TextCell(CLEAN, ["its one", ""], {}, 0, ""), TextCell(in_noise("car", 5), ["", "two, two"], {}, 0, "")]


def test_a_file_for_each_condition_under_the_rules_of_the_score(tmp_path: Path) -> None:
    result = summarise(UTTERANCES, CELLS, GridConfig(manifest="", bootstrap_samples=2))
    paths = write_trn(result, tmp_path / "trn")
    assert [path.name for path in paths] == ["reference.trn", "clean.trn", "car@5.trn"]
    assert [path.read_text() for path in paths] == [
        "IT'S ONE (an_n-a/u_1)\nTWO (bob-a/u2)\n",
        "ITS ONE (an_n-a/u_1)\n(bob-a/u2)\n",
        "(an_n-a/u_1)\nTWO TWO (bob-a/u2)\n",
    ]
    with pytest.raises(EvaluationError, match="keep transcripts"):
        write_trn(result.without_transcripts(), tmp_path)
