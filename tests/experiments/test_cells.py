"""Results of a run as they are stored: read back the same, older ones too."""

import json
from dataclasses import asdict

import pytest

from noisewise.config import parse
from noisewise.errors import ConfigError
from noisewise.experiments.cells import Cell, Difference, Rate, Trained

CELL = Cell("traffic@5", 0.5, 3, 1, 2, 12, 0)
TRAINED = Trained("ew2", 1, "a.yaml", "aa", "ctc", 10, 5, {"wer": 0.25}, 1.5, 60.0, 1000, "bb", [CELL])
DIFFERENCE = Difference(-0.25, (-0.5, 0.0), -0.5, (-1.0, 0.0), -2.0, 0.046, 5, 1, 0.22, [-0.25])


@pytest.mark.parametrize("value", [CELL, TRAINED, DIFFERENCE, Rate(0.5, (0.25, 0.75), [0.5])], ids=type)
def test_json_gives_the_same_value(value: object) -> None:
    assert parse(type(value), json.loads(json.dumps(asdict(value)))) == value  # type: ignore[call-overload]


def test_the_word_error_rate_is_that_of_the_counts() -> None:
    assert CELL.wer == (CELL.S + CELL.D + CELL.I) / CELL.words


def test_older_files_lack_rates_by_seed_and_cells() -> None:
    values = asdict(DIFFERENCE)
    del values["by_seed"]
    assert parse(Difference, values).by_seed == []
    plain = asdict(TRAINED)
    del plain["cells"]
    one, other = parse(Trained, plain), parse(Trained, plain)
    assert one.cells == [] and one.cells is not other.cells


def test_a_missing_count_is_named() -> None:
    values = asdict(CELL)
    del values["words"]
    with pytest.raises(ConfigError, match="words"):
        parse(Cell, values)
