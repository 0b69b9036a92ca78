"""English as it is spoken: the readings of numerals, abbreviations, spelled letters and signs in a written text.

A numeral can be read in several ways: 1905 is "nineteen oh five" and "one thousand nine hundred and five", 6264 is also
"six two six four". `readings` gives a text as a lattice of words, a graph whose paths are all ways to read it, the
usual one first; `nearest` finds the path with the fewest edits to a reference, as alternations do in NIST's sclite. Of
several such paths the first in the order of the lattice is taken, so the choice is always the same.

What is read: cardinals, ordinals (21st), years, decades (1960s), times of day, amounts of money, percentages, decimals,
fractions, days of a month; abbreviations that stand for a word (Mr., St.), spelled letters (A.B.C.; words in capitals
as words or as letters) and the signs & + % @ ° = #. Spelling (British, American) is left as it is.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

Words = tuple[str, ...]

ONES = (
    "ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "TEN", "ELEVEN", "TWELVE",
    "THIRTEEN", "FOURTEEN", "FIFTEEN", "SIXTEEN", "SEVENTEEN", "EIGHTEEN", "NINETEEN",
)  # fmt: skip
TENS = ("", "", "TWENTY", "THIRTY", "FORTY", "FIFTY", "SIXTY", "SEVENTY", "EIGHTY", "NINETY")
SCALES = ("", "THOUSAND", "MILLION", "BILLION", "TRILLION")
ZERO = ("ZERO", "OH", "O")
"""How the digit 0 is read."""
ORDINALS = {
    "ONE": "FIRST", "TWO": "SECOND", "THREE": "THIRD", "FIVE": "FIFTH", "EIGHT": "EIGHTH", "NINE": "NINTH",
    "TWELVE": "TWELFTH",
}  # fmt: skip
"""Those that are not the cardinal and TH."""
ABBREVIATIONS = {
    "mr": "MISTER", "mrs": "MISSUS|MISSIS|MISTRESS", "dr": "DOCTOR|DRIVE", "st": "SAINT|STREET", "jr": "JUNIOR",
    "sr": "SENIOR", "messrs": "MESSIEURS", "vs": "VERSUS", "etc": "ET CETERA|ETCETERA",
}  # fmt: skip
"""Abbreviations with or without a dot, to what they stand for."""
DOTTED = {
    "ms": "MISS|MS", "prof": "PROFESSOR", "capt": "CAPTAIN", "gen": "GENERAL", "col": "COLONEL", "lt": "LIEUTENANT",
    "sgt": "SERGEANT", "maj": "MAJOR", "rev": "REVEREND", "hon": "HONORABLE|HONOURABLE", "gov": "GOVERNOR",
    "sen": "SENATOR", "rep": "REPRESENTATIVE", "ave": "AVENUE", "blvd": "BOULEVARD", "ltd": "LIMITED",
    "inc": "INCORPORATED", "mt": "MOUNT", "ft": "FORT|FEET|FOOT", "dept": "DEPARTMENT", "jan": "JANUARY",
    "feb": "FEBRUARY", "aug": "AUGUST", "sept": "SEPTEMBER", "oct": "OCTOBER", "nov": "NOVEMBER", "dec": "DECEMBER",
}  # fmt: skip
"""Abbreviations that are such only with a dot."""
SIGNS = {
    "&": "AND",
    "+": "PLUS",
    "%": "PERCENT|PER CENT",
    "@": "AT",
    "°": "DEGREES|DEGREE",
    "=": "EQUALS",
    "#": "NUMBER",
}
MONEY = {"$": ("DOLLAR", "CENT"), "£": ("POUND", "PENNY"), "€": ("EURO", "CENT")}
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip

_NUMBER = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+"
_TOKEN = re.compile(
    rf"""
    (?P<letters>(?<![\w'])(?:[A-Za-z]\.){{2,}}(?:[A-Za-z](?![\w']))?)
    |(?P<short>(?<![\w'])(?i:{"|".join(ABBREVIATIONS)})(?![\w'])\.?|(?<![\w'])(?i:{"|".join(DOTTED)})\.(?!\w))
    |(?P<numbered>(?<![\w'])(?i:no)\.(?=\s?[0-9]))
    |(?P<money>[$£€]\s?(?:{_NUMBER})(?:\s(?i:thousand|million|billion|trillion)\b)?)
    |(?P<time>(?<![\w:])[0-9]{{1,2}}:[0-5][0-9](?![\w:]))
    |(?P<decade>(?<![\w.,])'?[0-9]{{1,3}}0'?s\b)
    |(?P<ordinal>(?:[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]+)(?i:st|nd|rd|th)\b)
    |(?P<fraction>(?<![\w/])[0-9]{{1,2}}/[0-9]{{1,3}}(?![\w/]))
    |(?P<number>{_NUMBER})
    |(?P<capitals>(?<![\w'])[A-Z]{{2,10}}(?![A-Za-z_']))
    |(?P<sign>[&+%@°=]|\#(?=\s?[0-9]))
    """,
    re.VERBOSE,
)


@dataclass
class Lattice:
    """Words on the arcs of a graph without circles; each path from the first node to the last is a reading.

    Example:
        >>> lattice = Lattice()
        >>> lattice.add([("NINE", "O'CLOCK"), ("NINE",)])
        >>> lattice.first(), lattice.is_single
        (('NINE', "O'CLOCK"), False)
    """

    arcs: list[list[tuple[int, str]]] = field(default_factory=lambda: [[]])
    """Arcs of each node in the order of preference: the next node, and a word, or nothing."""
    last: int = 0
    """The last node."""
    is_single: bool = True
    """Whether there is one path."""

    def node(self) -> int:
        """A new node."""
        self.arcs.append([])
        return len(self.arcs) - 1

    def add(self, alternatives: Iterable[Words]) -> None:
        """Go on with one of several sequences of words."""
        start, end = self.last, self.node()
        chosen = list(dict.fromkeys(alternatives)) or [()]
        for words in chosen:
            self.path(start, end, words)
        self.last, self.is_single = end, self.is_single and len(chosen) == 1

    def path(self, start: int, end: int, words: Words) -> None:
        """Words between two nodes."""
        for word in words[:-1]:
            following = self.node()
            self.arcs[start].append((following, word))
            start = following
        self.arcs[start].append((end, words[-1] if words else ""))

    def first(self) -> Words:
        """The usual reading: the first arc of each node."""
        words, node = list[str](), 0
        while node != self.last:
            node, word = self.arcs[node][0]
            words.append(word)
        return tuple(word for word in words if word)

    def ordered(self) -> list[int]:
        """The nodes, each behind all that lead to it."""
        done, seen = list[int](), set[int]()
        stack = [(0, False)]
        while stack:
            node, is_left = stack.pop()
            if is_left:
                done.append(node)
            elif node not in seen:
                seen.add(node)
                stack += [(node, True), *((following, False) for following, _ in self.arcs[node])]
        return done[::-1]


def nearest(lattice: Lattice, reference: Sequence[str]) -> Words:
    """The path with the fewest insertions, deletions and substitutions of words against a reference.

    Example:
        >>> nearest(readings("In 1905", str.split), "IN ONE NINE OH FIVE".split())
        ('In', 'ONE', 'NINE', 'OH', 'FIVE')
    """
    if lattice.is_single:
        return lattice.first()
    count = len(reference) + 1
    costs: dict[int, list[float]] = {0: [float(place) for place in range(count)]}
    back: dict[tuple[int, int], tuple[int, int, str]] = {(0, place): (0, place - 1, "") for place in range(1, count)}
    for node in lattice.ordered():
        here = costs[node]
        for place in range(1, count):  # a word of the reference is left out
            if here[place - 1] + 1 < here[place]:
                here[place], back[node, place] = here[place - 1] + 1, (node, place - 1, "")
        for following, word in lattice.arcs[node]:
            there = costs.setdefault(following, [float("inf")] * count)
            for place, cost in enumerate(here):
                _relax(there, back, (following, place), cost + bool(word), (node, place, word))
                if word and place + 1 < count:
                    more = cost + (reference[place] != word)
                    _relax(there, back, (following, place + 1), more, (node, place, word))
    words, state = list[str](), (lattice.last, count - 1)
    while state in back:
        node, place, word = back[state]
        words.append(word)
        state = (node, place)
    return tuple(word for word in reversed(words) if word)


def _relax(
    there: list[float],
    back: dict[tuple[int, int], tuple[int, int, str]],
    state: tuple[int, int],
    cost: float,
    origin: tuple[int, int, str],
) -> None:
    """Keep the cheaper way to a state, the earlier of two equal ones."""
    if cost < there[state[1]]:
        there[state[1]], back[state] = cost, origin


def readings(text: str, normalise: Callable[[str], list[str]], spelled: Set[str] | None = None) -> Lattice:
    """All readings of a text.

    Args:
        text: as written.
        normalise: what lies between numerals and abbreviations, to its words.
        spelled: words in capitals that hold none of these letters are read as words alone, because a reference without
            such letters is no nearer to a word that is spelled; None for no such bound.

    Example:
        >>> readings("Dr. Lee, 2nd of May", lambda text: text.upper().replace(",", "").split()).first()
        ('DOCTOR', 'LEE', 'SECOND', 'OF', 'MAY')
    """
    lattice = Lattice()
    for piece in pieces(text):
        if isinstance(piece, str):
            for word in normalise(piece):
                lattice.add(_meant(word, ABBREVIATIONS))
        elif piece.lastgroup == "capitals" and spelled is not None and spelled.isdisjoint(piece[0]):
            for word in normalise(piece[0]):
                lattice.add(_meant(word, ABBREVIATIONS))
        else:
            _read(lattice, piece, normalise)
    return lattice


def pieces(text: str) -> Iterator["str | re.Match[str]"]:
    """What is read in a way of its own, and the texts between."""
    end = 0
    for found in _TOKEN.finditer(text):
        yield text[end : found.start()]
        yield found
        end = found.end()
    yield text[end:]


def _read(lattice: Lattice, found: "re.Match[str]", normalise: Callable[[str], list[str]]) -> None:
    kind, text = str(found.lastgroup), found[0]
    if kind == "letters":
        letters = tuple(text.upper().replace(".", ""))
        lattice.add([letters, ("".join(letters),)])
    elif kind == "capitals":
        words = [way for word in normalise(text) for way in _meant(word, ABBREVIATIONS)]
        lattice.add([*words, tuple(text)])
    elif kind in ("short", "numbered", "sign"):
        lattice.add(_meant(text.rstrip("."), {**ABBREVIATIONS, **DOTTED, **SIGNS, "no": "NUMBER"}))
    elif kind == "money":
        _read_money(lattice, text)
    elif kind == "time":
        lattice.add(_times(*map(int, text.split(":"))))
    elif kind == "decade":
        lattice.add((*words[:-1], _plural(words[-1])) for words in _years(text.strip("'s")))
    elif kind == "ordinal":
        lattice.add(map(_ordinal, cardinals(int(text[:-2].replace(",", "")))))
    elif kind == "fraction":
        lattice.add(_fractions(*map(int, text.split("/"))))
    else:
        _read_number(lattice, text, is_day=_is_day(found))


def _meant(word: str, known: Mapping[str, str]) -> list[Words]:
    """What an abbreviation stands for; another word is itself."""
    return [tuple(each.split()) for each in known.get(word.lower(), word).split("|")]


def _is_day(found: "re.Match[str]") -> bool:
    """Whether a number stands beside the name of a month."""
    before = re.search(r"([A-Za-z]+)\.?\s$", found.string[: found.start()])
    after = re.match(r"\s([A-Za-z]+)", found.string[found.end() :])
    names = [each[1].lower() for each in (before, after) if each]
    return found[0].isdigit() and 1 <= int(found[0][:3]) <= 31 and any(name in MONTHS for name in names)


def cardinals(number: int) -> list[Words]:
    """Ways to say a number as a whole, the shortest first.

    Example:
        >>> [" ".join(words) for words in cardinals(105)]
        ['ONE HUNDRED FIVE', 'ONE HUNDRED AND FIVE', 'A HUNDRED FIVE', 'A HUNDRED AND FIVE']
    """
    ways = [_cardinal(number, joined) for joined in (False, True)]
    ways += [("A", *words[1:]) for words in ways if words[0] == "ONE" and len(words) > 1]
    return list(dict.fromkeys(ways))


def _cardinal(number: int, joined: bool) -> Words:
    """With or without AND before the tens."""
    if number < 100:
        return _below_hundred(number)
    words: list[str] = []
    rest = number
    for power in range(len(SCALES) - 1, 0, -1):
        size = 1000**power
        if rest >= size:
            words += [*_cardinal(rest // size, joined), SCALES[power]]
            rest %= size
    if rest >= 100:
        words += [ONES[rest // 100], "HUNDRED"]
        rest %= 100
    if rest:
        words += [*(["AND"] if joined else []), *_below_hundred(rest)]
    return tuple(words)


def _below_hundred(number: int) -> Words:
    if number < 20:
        return (ONES[number],)
    return (TENS[number // 10], ONES[number % 10]) if number % 10 else (TENS[number // 10],)


def _ordinal(words: Words) -> Words:
    last = words[-1]
    found = ORDINALS.get(last) or (f"{last[:-1]}IETH" if last.endswith("TY") else f"{last}TH")
    return (*words[:-1], found)


def _plural(word: str) -> str:
    if word in ("PENNY", "SIX"):
        return {"PENNY": "PENCE", "SIX": "SIXES"}[word]
    return f"{word[:-1]}IES" if word.endswith("Y") else f"{word}S"


def _years(digits: str) -> list[Words]:
    """Ways to say up to four digits as a year."""
    number = int(digits)
    if len(digits) != 4 or digits[0] == "0":
        return cardinals(number)
    first, second = divmod(number, 100)
    pairs: list[Words] = []
    if first % 10 or second >= 10:  # 2005 is no pair of numbers
        ends: list[Words] = [("HUNDRED",)] if not second else [_below_hundred(second)] if second >= 10 else []
        ends += [(zero, ONES[second]) for zero in ("OH", "O")] if 0 < second < 10 else []
        pairs = [(*_below_hundred(first), *end) for end in ends]
        hundreds = (*_below_hundred(first), "HUNDRED")
        pairs += [(*hundreds, *joined, *_below_hundred(second)) for joined in ((), ("AND",)) if second]
    usual = pairs[:1] if 1100 <= number < 2000 or 2010 <= number < 2100 else []
    return list(dict.fromkeys([*usual, *cardinals(number), *pairs]))


def _times(hour: int, minute: int) -> list[Words]:
    hours = _below_hundred(hour)
    if not minute:
        return [hours, (*hours, "O'CLOCK"), (*hours, "HUNDRED")]
    if minute < 10:
        return [(*hours, zero, ONES[minute]) for zero in ("OH", "O", "ZERO")]
    return [(*hours, *_below_hundred(minute))]


def _fractions(above: int, below: int) -> list[Words]:
    plain = (*_cardinal(above, False), *_cardinal(below, False))
    ways = [(*_cardinal(above, False), word, *_cardinal(below, False)) for word in ("OVER", "SLASH")]
    if not 0 < above < below:
        return [plain, *ways]
    names = {2: "HALF", 4: "QUARTER"}
    parts: list[Words] = [(names[below],)] if below in names else []
    parts.append(_ordinal(_cardinal(below, False)))
    if above > 1:
        parts = [(*part[:-1], _plural(part[-1])) for part in parts]
    said = [(*_cardinal(above, False), *part) for part in parts]
    return [*said, *([("A", *part) for part in parts] if above == 1 else []), plain, *ways]


def _read_money(lattice: Lattice, text: str) -> None:
    unit, cent = MONEY[text[0]]
    amount, _, scale = text[1:].strip().partition(" ")
    whole, _, part = amount.partition(".")
    if part and not scale and len(part) == 2 and whole:
        pounds = (unit,) if whole == "1" else (_plural(unit),)
        cents = _below_hundred(int(part))
        name = cent if part == "01" else _plural(cent)
        _read_number(lattice, whole)
        small = [(*pounds, *cents), (*pounds, *cents, name), (*pounds, "AND", *cents, name), cents]
        lattice.add(small if int(part) else [pounds])
        return
    _read_number(lattice, amount)
    if scale:
        lattice.add([(scale.upper(),)])
    lattice.add([(unit,)] if amount == "1" and not scale else [(_plural(unit),), (unit,)])


def _read_number(lattice: Lattice, text: str, is_day: bool = False) -> None:
    """Digits, perhaps with commas and a decimal point."""
    whole, point, decimals = text.partition(".")
    if whole:
        _read_digits(lattice, whole.replace(",", ""), has_commas="," in whole, is_day=is_day)
    if point:
        lattice.add([("POINT",)])
        _read_digits(lattice, decimals, one_by_one=True)


def _read_digits(
    lattice: Lattice, digits: str, *, has_commas: bool = False, is_day: bool = False, one_by_one: bool = False
) -> None:
    """A number as a whole, as a year, and in groups of one to three digits; what is usual comes first."""
    start, end = lattice.last, lattice.node()
    is_number = len(digits) <= 15 and (digits == "0" or digits[0] != "0")
    wholes = [] if not is_number else _years(digits) if len(digits) == 4 and not has_commas else cardinals(int(digits))
    if has_commas and len(digits) == 4:
        wholes += [words for words in _years(digits) if words not in wholes]
    if is_day:
        wholes += [way for words in wholes for way in (_ordinal(words), ("THE", *_ordinal(words)))]
    grouped = list(_grouped(digits))
    usual = [tuple(ONES[int(digit)] for digit in digits)]
    alone = one_by_one or not is_number or (len(digits) > 6 and not has_commas)
    for words in dict.fromkeys([*usual, *wholes] if alone else wholes):
        lattice.path(start, end, words)
    nodes = [start, *(lattice.node() for _ in digits[1:]), end]
    for first, last, words in grouped:
        lattice.path(nodes[first], nodes[last], words)
    lattice.last, lattice.is_single = end, False


def _grouped(digits: str) -> Iterator[tuple[int, int, Words]]:
    """First and last position of each group of one to three digits, and how it is said."""
    for place, digit in enumerate(digits):
        for word in ZERO if digit == "0" else (ONES[int(digit)],):
            yield place, place + 1, (word,)
        if digit == "0":
            if place and digits[place : place + 2] == "00":
                yield place, place + 2, ("HUNDRED",)
            if digits[place : place + 3] == "000":
                yield place, place + 3, ("THOUSAND",)
            continue
        for length in (2, 3):
            if place + length <= len(digits):
                for words in cardinals(int(digits[place : place + length])):
                    yield place, place + length, words
