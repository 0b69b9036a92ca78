"""From records to one result: means over seeds by hand, over the seeds that both have, and refused mixtures."""

from pathlib import Path

import pytest

from noisewise.config import parse
from noisewise.errors import EvaluationError
from noisewise.evaluation.result import GridResult
from noisewise.experiments.aggregate import RESAMPLES, aggregate
from noisewise.experiments.cells import Trained
from noisewise.experiments.plan import Plan
from noisewise.experiments.records import Record
from noisewise.experiments.result import Reproduction
from tests.experiments.test_bootstrap import ALL, NONE, SOME, grid

PLAN = {
    "runs": {name: {"recipe": "a.yaml"} for name in ("good", "bad", "none")},
    "grid": {"manifest": "corpus", "bootstrap_unit": "utterance"},
    "comparisons": [{"better": "good", "than": "bad"}, {"better": "none", "than": "bad"}],
}


def record(run: str, seed: int, found: GridResult | None) -> Record:
    trained = Trained(run, seed, "a.yaml", "", "ctc", 1, 1, {}, 0.0, 0.0, 1, "")
    return Record(trained, found)


def gathered(*records: Record, **values: object) -> Reproduction:
    plan = parse(Plan, {**PLAN, **values})
    return aggregate(plan, Path("plan.yaml"), "t", [1, 0], records, "noisewise reproduce t")


GOOD = record("good", 0, grid(NONE, SOME, NONE, SOME, NONE))
GOOD_1 = record("good", 1, grid(SOME, SOME, NONE, SOME, NONE))
BAD = record("bad", 0, grid(SOME, ALL, SOME, ALL, SOME))


def test_rates_by_hand() -> None:
    """24 words; SOME has 6 errors, ALL 24. Clean: 0 and 6 of 24 by the two seeds of `good`."""
    found = gathered(GOOD_1, GOOD, BAD)
    assert found.seeds == [0, 1] and [one.run for one in found.runs] == ["good", "good", "bad"]
    good, bad = found.measured
    assert (good.run, good.seeds, bad.run, bad.seeds) == ("good", [0, 1], "bad", [0])
    assert good.rates["clean"].wer == pytest.approx(3 / 24)
    assert sorted(good.rates["clean"].by_seed) == [0.0, 0.25]
    assert good.rates["traffic@0"].wer == good.rates["babble@0"].wer == 0.25
    assert bad.rates["all"].wer == pytest.approx((1 + 0.25 + 1 + 0.25) / 4)


def test_a_difference_is_over_the_seeds_that_both_have() -> None:
    (found,) = gathered(GOOD, GOOD_1, BAD).compared
    assert (found.better, found.than, found.seeds) == ("good", "bad", [0])
    assert found.differences["clean"].difference == pytest.approx(-0.25)
    assert found.differences["traffic"].difference == pytest.approx((0.25 - 1 + 0 - 0.25) / 2)
    assert "traffic@0" not in found.differences and {"type_a", "all", "babble"} <= found.differences.keys()


def test_the_test_set_is_described() -> None:
    found = gathered(GOOD)
    assert found.test is not None and found.bootstrap is not None
    assert (found.test.utterances, found.test.speakers, found.test.words) == (12, 4, 24)
    assert found.test.noise_types == ["traffic", "babble"] and found.test.snr_db == [0, 5]
    assert found.test.mixtures["traffic@5"] == "traffic@5"
    assert (found.bootstrap.unit, found.bootstrap.samples) == ("utterance", RESAMPLES)


def test_other_mixtures_are_refused_and_nothing_measured_is_no_error() -> None:
    with pytest.raises(EvaluationError, match="seed_0/bad"):
        gathered(GOOD, record("bad", 0, grid(NONE, NONE, NONE, NONE, NONE, sha="x")))
    for found in (gathered(), gathered(record("good", 0, None))):
        assert found.test is None and not found.measured and not found.compared
