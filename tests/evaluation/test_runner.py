"""Batches, hashes and failures of a run over conditions."""

from collections.abc import Sequence

import numpy as np
import pytest

from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import CLEAN, Condition, in_noise
from noisewise.evaluation.grid import Grid
from noisewise.evaluation.resume import Partial
from noisewise.evaluation.runner import Outputs, Progress, run_conditions
from noisewise.evaluation.systems.protocol import Failure, Waveform
from noisewise.evaluation.test_set import Speech, Utterance
from noisewise.evaluation.words import TextCell

UTTERANCES = [Utterance(f"u{index}", "s", "A", 1.0) for index in range(5)]


def mixture(one: Utterance, condition: Condition) -> Waveform:
    """Loud in noise: above full scale."""
    return np.full(int(one.id[1]) + 1, 0.5 if condition == CLEAN else 2.0, dtype=np.float32)


GRID = Grid(Speech(UTTERANCES), [CLEAN, in_noise("car", 0)], mixture)


def cell(outputs: Outputs[str]) -> TextCell:
    texts = ["" if isinstance(one, Failure) else one for one in outputs.each]
    return TextCell(outputs.condition, texts, outputs.failures, outputs.scaled, outputs.mixture_sha256)


def lengths(waveforms: list[Waveform]) -> list[str | Failure]:
    return [Failure("three") if len(one) == 3 else str(len(one)) for one in waveforms]


def nothing() -> Partial[TextCell]:
    return Partial(None, {}, TextCell)


def test_outputs_keep_the_order_of_the_utterances_over_batches() -> None:
    sizes: list[int] = []

    def counted(waveforms: list[Waveform]) -> list[str | Failure]:
        sizes.append(len(waveforms))
        return lengths(waveforms)

    clean, noisy = run_conditions(GRID, counted, cell, nothing(), batch_seconds=2.0)
    assert sizes == [2, 2, 1] * 2
    assert clean.hypotheses == ["1", "2", "", "4", "5"] and clean.failures == {"u2": "three"}
    assert (clean.scaled, noisy.scaled) == (0, 5), "mixtures above full scale"
    assert clean.mixture_sha256 != noisy.mixture_sha256
    [again, _] = run_conditions(GRID, lengths, cell, nothing(), batch_seconds=9.0)
    assert again == clean


def test_kept_conditions_are_not_run_again() -> None:
    kept = nothing()
    kept.add(TextCell(CLEAN, ["kept"] * 5, {}, 0, "kept"))
    found = run_conditions(GRID, lengths, cell, kept)
    assert [one.mixture_sha256 == "kept" for one in found] == [True, False]


def test_progress_counts_all_conditions() -> None:
    reports: list[Progress] = []
    run_conditions(GRID, lengths, cell, nothing(), batch_seconds=3.0, progress=reports.append)
    assert [(one.condition, one.done, one.failures) for one in reports] == [
        ("clean", 3, 1), ("clean", 5, 1), ("car@0", 8, 2), ("car@0", 10, 2),
    ]  # fmt: skip
    assert {one.total for one in reports} == {10}


def test_a_system_that_always_fails_is_no_measurement() -> None:
    def broken(waveforms: Sequence[object]) -> list[str | Failure]:
        return [Failure("broken") for _ in waveforms]

    with pytest.raises(EvaluationError, match="failed on all of clean: broken"):
        run_conditions(GRID, broken, cell, nothing())
