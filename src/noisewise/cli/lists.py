"""Options that take several numbers: `--snr 0 5 10`, `--snr 0,5,10` and `--snr 0 --snr 5` mean the same."""

from collections.abc import Iterator, Sequence


def spread(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Repeat a list option before each of its numbers, as typer wants it: `--snr=0 --snr=5`.

    Args:
        words: the words of a command line.
        options: names of the options that take numbers, such as `--snr`.

    Returns:
        The words; those after an option that are not numbers, such as a file name, stay where they are.
    """
    return list(_spread(words, options))


def _spread(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    option = ""
    for position, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word == "--":
            yield from words[position:]
            return
        if name in options and equals:
            option = name
            yield from (f"{name}={number}" for number in value.split(","))
        elif word in options and position + 1 < len(words) and _numbers(words[position + 1]):
            option = word
        elif option and _numbers(word):
            yield from (f"{option}={number}" for number in _numbers(word))
        else:
            option = ""
            yield word


def _numbers(word: str) -> list[str]:
    """The parts of `0,5,10` when all are numbers, else nothing."""
    parts = [part for part in word.split(",") if part]
    try:
        [float(part) for part in parts]
    except ValueError:
        return []
    return parts
