"""What the bootstrap draws: utterances, or blocks of utterances that do not vary on their own.

Errors go with the speaker, so that intervals over utterances are too narrow for new speakers (Liu and Peng 2020,
arXiv 1912.09508). Speakers are drawn where there are enough of them; any column of a manifest can be the block.

Legend: N utterances or clips, R resamples.
"""

from collections.abc import Mapping, Sequence

from noisewise.errors import EvaluationError
from noisewise.evaluation.result import GridResult, PerItem
from noisewise.scoring.words import Counts, resample

LEAST_SPEAKERS = 10
"""Speakers from which `auto` draws speakers, not utterances."""
UNITS = ("auto", "utterance", "speaker", "hierarchical")
"""Units beside the columns of a manifest."""


def resolved(unit: str, ids: Sequence[str], groups: Sequence[str]) -> str:
    """The unit that `auto` stands for: `speaker` with `LEAST_SPEAKERS` named speakers or more, else `utterance`.

    Example:
        >>> resolved("auto", ["u", "v"], ["s", "s"]), resolved("speaker", ["u", "v"], ["s", "s"])
        ('utterance', 'speaker')
    """
    if unit != "auto":
        return unit
    speakers = {group for name, group in zip(ids, groups, strict=True) if group != name}
    return "speaker" if len(speakers) >= LEAST_SPEAKERS else "utterance"


def draws(
    unit: str,
    ids: Sequence[str],
    groups: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    *,
    samples: int,
    seed: int,
) -> Counts:
    """How often each item is drawn in each resample. (R, N)

    Args:
        unit: `auto`, `utterance`, `speaker`, `hierarchical` (speakers, then utterances of each), or a column.
        ids: of the items. (N,)
        groups: speaker of each item, or its id where none is named. (N,)
        columns: name of a column to the value of each item; an item without a value is a block of its own.
        samples: number of resamples R.
        seed: seed of the draws.

    Raises:
        EvaluationError: there is no such column, or no item names a speaker.
    """
    check(unit, ids, groups, columns)
    unit = resolved(unit, ids, groups)
    if unit == "utterance":
        return resample(len(ids), samples=samples, seed=seed)
    values = groups if unit in UNITS else columns[unit]
    blocks = [value or name for name, value in zip(ids, values, strict=True)]
    return resample(len(ids), groups=blocks, within=unit == "hierarchical", samples=samples, seed=seed)


def check(unit: str, ids: Sequence[str], groups: Sequence[str], columns: Mapping[str, Sequence[str]]) -> None:
    """Refuse what cannot be resampled; arguments as in `draws`.

    Raises:
        EvaluationError: there is no such column, or no item names a speaker.
    """
    if unit not in UNITS and not any(columns.get(unit, ())):
        raise EvaluationError(
            f"`bootstrap_unit` must be {', '.join(UNITS)} or a column of the manifest, but is '{unit}' instead"
        )
    if unit in ("speaker", "hierarchical") and list(groups) == list(ids):
        raise EvaluationError(
            f"`bootstrap_unit` must be 'utterance' where no entry names a speaker, but is '{unit}' instead; add a "
            "column speaker, or resample utterances"
        )


def draws_of(result: GridResult, unit: str, *, samples: int, seed: int) -> Counts:
    """The draws of the items of a result. (R, N)

    Raises:
        EvaluationError: as `draws`.
    """
    return draws_of_items(result.per_item, unit, samples=samples, seed=seed)


def draws_of_items(items: PerItem, unit: str, *, samples: int, seed: int) -> Counts:
    """The same from the items alone. (R, N)"""
    return draws(unit, items.ids, items.groups, items.columns, samples=samples, seed=seed)
