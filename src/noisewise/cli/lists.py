"""Options that take several numbers: `--snr 0 5 10`, `--snr 0,5,10` and `--snr 0 --snr 5` mean the same."""

from collections.abc import Callable, Iterator, Sequence


def spread(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Repeat a list option before each of its values, as typer wants it: `--snr=0 --snr=5`.

    Args:
        words: the words of a command line.
        options: names of the options that take numbers, such as `--snr`, or pairs, such as `--columns path=file`.

    Returns:
        The words; those after an option that are no such values, such as a file name, stay where they are.
    """
    return list(_spread(words, options))


def _spread(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    option = ""
    values: Callable[[str], list[str]] = _numbers
    for position, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word == "--":
            yield from words[position:]
            return
        if name in options and equals:
            option, values = name, _kind(value) or _numbers
            yield from (f"{name}={number}" for number in value.split(","))
        elif word in options and position + 1 < len(words) and (kind := _kind(words[position + 1])):
            option, values = word, kind
        elif option and values(word):
            yield from (f"{option}={value}" for value in values(word))
        else:
            option = ""
            yield word


def _kind(word: str) -> Callable[[str], list[str]] | None:
    """What a list whose first value is `word` holds."""
    return next((values for values in (_numbers, _pair) if values(word)), None)


def _pair(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [word] if name.isidentifier() and equals and value else []


def _numbers(word: str) -> list[str]:
    """The parts of `0,5,10` when all are numbers, else nothing."""
    parts = [part for part in word.split(",") if part]
    try:
        [float(part) for part in parts]
    except ValueError:
        return []
    return parts
