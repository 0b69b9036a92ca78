"""Loops: a decoder without speech to look at may say one phrase again and again."""

from collections.abc import Sequence

LONGEST = 40
"""Tokens of a phrase that is looked for, at most."""
TIMES = 4
"""How often a phrase must be said in a row."""
LONG, LONG_TIMES = 6, 2.5
"""The same of one of so many tokens: nobody says a sentence twice and a half."""
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
    for period in range(1, min(LONGEST, len(tokens) // 2) + 1):
        first = len(tokens) - period
        while first > 0 and tokens[first - 1] == tokens[first - 1 + period]:
            first -= 1
        times = TIMES if period < LONG else LONG_TIMES
        if len(tokens) - first >= max(times * period, LEAST):
            return first + period
    return None
