"""Tables from a stored result: the layouts of the paper, what is missing, and the file itself."""

from pathlib import Path

import pytest

from noisewise.errors import EvaluationError
from noisewise.experiments.cells import Difference, Rate, Trained
from noisewise.experiments.plan import RowPlan, TablePlan
from noisewise.experiments.result import Bootstrap, Compared, Measured, Mixtures, Reproduction
from noisewise.experiments.tables import comma_separated, comparisons, latex, markdown, summary, tables

TYPES = ["traffic", "metro", "babble", "airport_station"]
SNRS = [0.0, 5.0]
ROWS = [
    RowPlan(labels=["EW2", "Noisy"], run="ew2"),
    RowPlan(labels=["Wav2code", "Noisy"], run="wav2code"),
    RowPlan(labels=["Wav2code", "None"], run="nothing"),
]


def rate(percent: float) -> Rate:
    wer, low, high, first, second = (round((percent + more) / 100, 6) for more in (0, -1, 1, -0.2, 0.2))
    return Rate(wer, (low, high), [first, second])


def measured(run: str, start: float) -> Measured:
    """Each rate is another, so that a column in the wrong place is seen."""
    names = [*(f"{kind}@{snr:g}" for kind in TYPES for snr in SNRS), *TYPES, "all@0", "all@5"]
    means = ["clean", "type_a", "type_b", "all", "type_a_above_0_db", "type_b_above_0_db", "all_above_0_db"]
    return Measured(run, [0, 1], {name: rate(start + index) for index, name in enumerate([*names, *means])})


def plan(layout: str) -> TablePlan:
    return TablePlan(title="T", columns=["Method", "Pre-train"], rows=ROWS, layout=layout)  # type: ignore[arg-type]


def result(*layouts: str) -> Reproduction:
    difference = Difference(-0.02, (-0.03, -0.01), -0.0839, (-0.12, -0.04), -3.0, 0.0004, 9, 3, 0.1, [-0.03, -0.01])
    return Reproduction(
        title="wav2code_mini",
        plan="recipes/mini/wav2code/plan.yaml",
        seeds=[0, 1],
        runs=[Trained("ew2", 0, "ew2.yaml", "aa", "ew2", 10, 5, {"loss": 1.5}, 3.25, 60.0, 1000, "bb")],
        tables=[plan(layout) for layout in layouts],
        test=Mixtures("an4", "noise", 0, 130, 10, 773, 300.0, "noisewise-en-1", TYPES, SNRS, {"clean": "cc"}),
        bootstrap=Bootstrap("speaker", 1000),
        measured=[measured("ew2", 10.0), measured("wav2code", 40.0)],
        compared=[
            Compared("wav2code", "ew2", [0, 1], {name: difference for name in ("clean", "type_a", "type_b", "all")})
        ],
    )


def test_tables_1_and_2_have_every_type_at_every_snr() -> None:
    first, second, _ = tables(result("noise_by_snr"))
    assert first.title == "T, type A, by SNR in dB" and second.title == "T, type B, by SNR in dB"
    assert first.lines[0] == ["Method", "Pre-train", "Traffic 0", "5", "Metro 0", "5", "Avg", "Clean"]
    assert second.lines[0][2:] == ["Babble 0", "5", "Airport/Station 0", "5", "Avg", "Avg above 0 dB", "Clean"]
    rates = result().measured[0].rates
    wanted = [f"{100 * rates[name].wer:.1f}" for name in ("traffic@0", "traffic@5", "metro@0", "metro@5")]
    assert first.lines[1][:6] == ["EW2", "Noisy", *wanted]
    assert first.lines[1][6] == "25.0 (24.0 to 26.0)"
    assert second.lines[1][7] == f"{100 * rates['type_b_above_0_db'].wer:.1f}" == "29.0"


def test_table_4_has_the_mean_of_each_type() -> None:
    lines = tables(result("by_type"))[0].lines
    assert lines[0] == ["Method", "Pre-train", "Traffic", "Metro", "Babble", "Airport/Station", "Avg", "Clean"]
    assert lines[2][:6] == ["Wav2code", "Noisy", "48.0", "49.0", "50.0", "51.0"]


def test_a_row_without_numbers_says_so() -> None:
    for table in tables(result("noise_by_snr", "by_type", "summary"))[:-1]:
        assert table.lines[3][:3] == ["Wav2code", "None", "not run"]
        assert len({len(line) for line in table.lines}) == 1


def test_without_any_measurement_all_rows_say_so() -> None:
    empty = Reproduction(title="t", plan="p", seeds=[0], runs=[], tables=[plan("noise_by_snr"), plan("by_type")])
    assert markdown(empty).count("not run") == 6
    assert "Nothing has been measured" in markdown(empty)
    assert [line[2] for line in summary(empty, plan("summary")).lines[1:]] == ["not run"] * 3


def test_a_summary_shows_the_seeds() -> None:
    found = summary(result(), plan("by_type"))
    assert found.lines[0] == ["Method", "Pre-train", "Clean", "Type A", "Type B", "All types", "by seed"]
    assert found.lines[1][5:] == ["27.0 (26.0 to 28.0)", "26.8, 27.2"]
    assert found.lines[3] == ["Wav2code", "None", "not run", "", "", "", ""]


def test_comparisons_name_the_rows_and_keep_the_sign() -> None:
    head, line = comparisons(result("by_type")).lines
    assert head[:2] == ["WER of", "less that of"]
    assert line[:2] == ["Wav2code Noisy", "EW2 Noisy"]
    assert line[5:] == ["-2.0 (-3.0 to -1.0)", "-8.4 % (-12.0 to -4.0)", "<0.001", "-3.0, -1.0"]
    assert head[7:] == ["p, all types", "by seed, all types"]


def test_words_stand_left_and_numbers_right() -> None:
    found = result("by_type")
    assert "| --- | --- | ---: |" in markdown(found)
    assert r"\begin{tabular}{llrrrrrr}" in latex(found)
    assert "resamples of speakers" in markdown(found) and "mean over seeds 0, 1" in markdown(found)


def test_csv_has_every_rate() -> None:
    lines = comma_separated(result()).splitlines()
    assert lines[0] == "run,condition,wer,wer_low,wer_high,seed_0,seed_1"
    assert lines[1] == "ew2,traffic@0,0.1,0.09,0.11,0.098,0.102"
    assert len(lines) == 1 + 2 * len(result().measured[0].rates)


def test_a_result_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "results" / "wav2code_mini.json"
    result("noise_by_snr").save(path)
    assert Reproduction.load(path) == result("noise_by_snr")
    assert "0.30000000000000004" not in path.read_text()
    path.write_text('{"format": "noisewise-grid-1"}')
    with pytest.raises(
        EvaluationError, match="must have the format noisewise-reproduction-1, but has 'noisewise-grid-1'"
    ):
        Reproduction.load(path)
