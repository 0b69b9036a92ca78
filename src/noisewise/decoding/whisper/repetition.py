"""Loops: a decoder without speech to look at may say one phrase again and again."""

from collections.abc import Sequence

LONGEST = 24
"""Tokens of a phrase that is looked for."""
TIMES = 4
"""How often it must be said in a row."""
LEAST = 12
"""Tokens that the repetitions must have together; `no, no, no, no` is no loop."""


def loop_start(tokens: Sequence[int]) -> int | None:
    """Where a text that ends in a loop is to be cut: behind the first of the phrases; None if it does not.

    Example:
        >>> loop_start([5, 7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9])
        4
        >>> loop_start([5, 7, 8, 9, 7, 8, 9, 7, 8, 9]) is None
        True
    """
    for period in range(1, min(LONGEST, len(tokens) // TIMES) + 1):
        first = len(tokens) - period
        while first > 0 and tokens[first - 1] == tokens[first - 1 + period]:
            first -= 1
        if len(tokens) - first >= max(TIMES * period, LEAST):
            return first + period
    return None
