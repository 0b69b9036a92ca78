"""Error rates of subgroups: the utterances with one value of a column of the manifest, such as gender.

Legend: N utterances or clips of a subgroup, C conditions, R resamples.
"""

from collections.abc import Sequence

import numpy as np

from noisewise.evaluation import blocks
from noisewise.evaluation.conditions import averaged
from noisewise.evaluation.result import GridResult, PerItem, Rate, Subgroup
from noisewise.scoring.words import interval, resampled_rates

MOST_NUMBERS = 8
"""A column of more whole numbers than this, such as an age, is cut into decades."""


def subgroups(result: GridResult) -> dict[str, dict[str, Subgroup]]:
    """Column to value to its error rates, for the columns of `subgroups` in the configuration.

    Rates are of every condition and of the means over conditions; intervals resample the utterances of the subgroup, in
    the blocks of the result. Utterances without a value are in no subgroup.
    """
    return {name: _of_column(result, result.per_item.columns[name]) for name in result.config.subgroups}


def grouped(values: Sequence[str]) -> list[str]:
    """The values of a column as names of subgroups: whole numbers as decades, where there are many.

    Example:
        >>> grouped(["f", "m", ""]), grouped([str(age) for age in range(18, 31)])[:3]
        (['f', 'm', ''], ['10-19', '10-19', '20-29'])
    """
    known = {value for value in values if value}
    if len(known) <= MOST_NUMBERS or not all(value.isdecimal() for value in known):
        return list(values)
    return [f"{int(value) // 10 * 10}-{int(value) // 10 * 10 + 9}" if value else "" for value in values]


def _of_column(result: GridResult, values: Sequence[str]) -> dict[str, Subgroup]:
    names = grouped(values)
    found = {}
    for name in sorted({*names} - {""}):
        places = [place for place, other in enumerate(names) if other == name]
        if sum(result.per_item.words[place] for place in places):
            found[name] = _subgroup(result, part(result.per_item, places))
    return found


def part(items: PerItem, places: Sequence[int]) -> PerItem:
    """The items at some places, with their errors; without texts."""

    def chosen(values: Sequence[int]) -> list[int]:
        return [values[place] for place in places]

    return PerItem(
        ids=[items.ids[place] for place in places],
        groups=[items.groups[place] for place in places],
        words=chosen(items.words),
        errors={key: chosen(errors) for key, errors in items.errors.items()},
        columns={key: [values[place] for place in places] for key, values in items.columns.items()},
    )


def _subgroup(result: GridResult, items: PerItem) -> Subgroup:
    config, unit = result.config, result.config.bootstrap_unit
    if unit in ("speaker", "hierarchical") and items.groups == items.ids:
        unit = "utterance"
    times = blocks.draws_of_items(items, unit, samples=config.bootstrap_samples, seed=config.seed)
    keys = list(result.rows)
    errors = np.array([items.errors[key] for key in keys], dtype=np.int64).T  # (N, C)
    words = np.array(items.words, dtype=np.int64)
    once = np.ones((1, len(words)), dtype=np.int64)
    values, resampled = resampled_rates(once, errors, words)[0], resampled_rates(times, errors, words)  # (C,), (R, C)
    means = averaged([row.condition for row in result.cells])
    groups = {key: [key] for key in keys} | {name: [one.key for one in group] for name, group in means.items()}
    rates = {}
    for name, group in groups.items():
        columns = [keys.index(key) for key in group]
        ends = interval(resampled[:, columns].mean(axis=1))
        rates[name] = Rate(float(values[columns].mean()), [ends.low, ends.high])
    return Subgroup(len(items.ids), len({*items.groups}), int(words.sum()), rates)
