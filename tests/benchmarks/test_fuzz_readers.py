"""Readers of stored files refuse mutated input with errors of the package."""

import random

import pytest

from benchmarks.fuzz_readers import TARGETS, Outcome, fuzz, mutated, table


@pytest.mark.parametrize("name", TARGETS)
def test_no_mutation_ends_in_anything_but_an_error_of_the_package(name: str) -> None:
    found = fuzz(name, inputs=20, seconds=5, seed=0)
    assert found.inputs and not found.faults, table({name: found})


def test_mutations_are_those_of_the_seed_and_change_something() -> None:
    content = b'{"a": [1, 2], "b": {"c": 0.5}}\n{"a": "text"}\n'
    found = [mutated(content, random.Random(seed)) for seed in range(50)]
    assert found == [mutated(content, random.Random(seed)) for seed in range(50)]
    assert len(set(found)) > 30


def test_the_table_names_targets_and_places() -> None:
    outcome = Outcome(inputs=3, refused=1)
    outcome.faults["KeyError at a.py:1: b"] += 2
    outcome.seeds["KeyError at a.py:1: b"] = 7
    assert table({"grid": outcome}).endswith("| grid | 3 | 1 | 2 |\n\n2 grid (seed 7): KeyError at a.py:1: b")
