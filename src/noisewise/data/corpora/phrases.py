"""Sentences of the synthetic corpus: spelled words, digits, numbers, dates, addresses, short commands."""

from collections.abc import Callable

from noisewise.data.random_streams import Draws

PHRASES = 1
"""Version of this file: other words for the same seed are another version."""


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


ONES = ("ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
TEENS = words_of("""
    TEN ELEVEN TWELVE THIRTEEN FOURTEEN FIFTEEN SIXTEEN SEVENTEEN EIGHTEEN NINETEEN
""")
TENS = ("TWENTY", "THIRTY", "FORTY", "FIFTY", "SIXTY", "SEVENTY", "EIGHTY", "NINETY")
ORDINALS = ("FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH", "SIXTH", "SEVENTH", "EIGHTH", "NINTH")
LATE_ORDINALS = words_of("""
    TENTH ELEVENTH TWELFTH THIRTEENTH FOURTEENTH FIFTEENTH SIXTEENTH SEVENTEENTH EIGHTEENTH NINETEENTH
""")
MONTHS = words_of("""
    JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER
""")
COMMANDS = ("START", "STOP", "YES", "NO", "GO", "HELP", "REPEAT", "ENTER", "ERASE", "RUBOUT")
EDITS = ("ENTER", "ERASE", "RUBOUT")
WORDS = words_of("""
    ADAMS ALICE ANDERSON ANNA ARTHUR AVENUE BAKER BARBARA BELL BENNETT BETTY BOSTON BRIAN BROOKS BROWN
    CAMPBELL CARL CARTER CHARLES CHICAGO CLARK COLLINS COOPER COURT CRAIG DALLAS DAVID DAVIS DENVER DIANE
    DONALD DRIVE EDWARD ELLEN EVANS FISHER FOREST FOSTER FRANK GARCIA GEORGE GLORIA GRAHAM GREEN HARRIS
    HEIGHTS HELEN HENRY HILL HOWARD HUGHES JACKSON JAMES JANET JENKINS JOHNSON JOSEPH JULIE KAREN KELLY
    KENNETH KEVIN LAKE LANE LAURA LAWRENCE LEWIS LINDA LOUIS MADISON MARIA MARTIN MICHAEL MILLER MITCHELL
    MORGAN MURPHY NANCY NELSON NORTH OLIVER OXFORD PAMELA PARKER PATRICIA PAUL PETERSON PHILIP PLACE QUENTIN
    QUINN RALPH REBECCA RICHARD RIVER ROAD ROBERT ROBINSON ROGERS RUSSELL RUTH SANDRA SARAH SCOTT SHARON
    SIMPSON SMITH SPRING STEPHEN STEWART STREET SUSAN TAYLOR THOMAS THOMPSON TURNER VALLEY VICTOR VIRGINIA
    WALKER WALTER WARREN WASHINGTON WATSON WILLIAM WILSON WRIGHT XAVIER YORK YOUNG ZIMMERMAN
""")
ONSETS = words_of("B C D F G H J K L M N P R S T V W X Z QU SH CH TH ST TR BR CL GR PH")
NUCLEI = words_of("A E I O U A E I O Y EE OU AI")
CODAS = ("", "", "", *words_of("N R L S T D M K Z X W B G P F V LL NG CK RT ND"))


def phrase(draws: Draws) -> str:
    """One utterance in capital letters; letters stand alone as words."""
    total = sum(weight for weight, _ in KINDS)
    place = draws.uniform(0, total)
    for weight, make in KINDS:
        place -= weight
        if place < 0:
            return make(draws)
    return command(draws)


def spelled_word(draws: Draws) -> str:
    """A real word or a made-up one, letter by letter."""
    if draws.chance(0.4):
        return " ".join(draws.choice(WORDS))
    parts = [draws.choice(ONSETS) + draws.choice(NUCLEI) + draws.choice(CODAS) for _ in range(1 + draws.below(3))]
    return " ".join("".join(parts))


def letters(draws: Draws) -> str:
    """One to six letters at random: every letter is as likely."""
    return " ".join(chr(ord("A") + draws.below(26)) for _ in range(1 + draws.below(6)))


def digits(draws: Draws) -> str:
    """One to eleven digits; nought is OH or ZERO."""
    nought = draws.choice(("OH", "ZERO"))
    return " ".join(draws.choice((nought, *ONES)) for _ in range(1 + draws.below(11)))


def small_number(draws: Draws) -> str:
    """1 to 99."""
    value = 1 + draws.below(99)
    return _below_hundred(value)


def number(draws: Draws) -> str:
    """A number as it is spoken: digits, pairs, hundreds, thousands."""
    match draws.below(5):
        case 0:
            return small_number(draws)
        case 1:
            return f"{small_number(draws)} {_pair(draws)}"
        case 2:
            return " ".join(_pair(draws) for _ in range(3))
        case 3:
            joint = " AND " if draws.chance(0.5) else " "
            rest = "" if draws.chance(0.3) else joint + small_number(draws)
            return f"{draws.choice(ONES)} HUNDRED{rest}"
        case _:
            rest = draws.choice(("", f" {draws.choice(ONES)} HUNDRED", f" {small_number(draws)}"))
            return f"{small_number(draws)} THOUSAND{rest}"


def edit(draws: Draws) -> str:
    """A command with what it acts on, as `RUBOUT G M E F THREE NINE`."""
    parts = [draws.choice(EDITS)]
    if draws.chance(0.7):
        parts.append(letters(draws))
    if len(parts) == 1 or draws.chance(0.8):
        parts.append(number(draws) if draws.chance(0.6) else digits(draws))
    return " ".join(parts)


def date(draws: Draws) -> str:
    """A day, with or without its year."""
    day = _ordinal(1 + draws.below(31))
    year = draws.choice(("", f" {_pair(draws)}", f" NINETEEN {_pair(draws)}", f" TWENTY {_pair(draws)}"))
    if draws.chance(0.15):
        return f"THE {day} OF {draws.choice(MONTHS)}{year}"
    return f"{draws.choice(MONTHS)} {day}{year}"


def address(draws: Draws) -> str:
    """A house number or area code with a spelled name."""
    if draws.chance(0.15):
        return f"AREA CODE {digits(draws)}"
    first = digits(draws) if draws.chance(0.6) else number(draws)
    return f"{first} {spelled_word(draws)}" if draws.chance(0.7) else f"{spelled_word(draws)} {first}"


def command(draws: Draws) -> str:
    """One word."""
    return draws.choice(COMMANDS)


KINDS: tuple[tuple[float, Callable[[Draws], str]], ...] = (
    (0.26, spelled_word),
    (0.10, letters),
    (0.16, digits),
    (0.12, number),
    (0.16, edit),
    (0.07, date),
    (0.08, address),
    (0.05, command),
)
"""How likely each kind is."""


def _below_hundred(value: int) -> str:
    if value < 10:
        return ONES[value - 1]
    if value < 20:
        return TEENS[value - 10]
    ten = TENS[value // 10 - 2]
    return ten if value % 10 == 0 else f"{ten} {ONES[value % 10 - 1]}"


def _pair(draws: Draws) -> str:
    """Two digits as in a year: SIXTY FOUR, OH SEVEN, TWELVE."""
    value = 1 + draws.below(99)
    return f"OH {ONES[value - 1]}" if value < 10 else _below_hundred(value)


def _ordinal(day: int) -> str:
    if day < 10:
        return ORDINALS[day - 1]
    if day < 20:
        return LATE_ORDINALS[day - 10]
    if day % 10 == 0:
        return "TWENTIETH" if day == 20 else "THIRTIETH"
    return f"{TENS[day // 10 - 2]} {ORDINALS[day % 10 - 1]}"
