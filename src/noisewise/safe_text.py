"""Text that comes in from outside (servers, programs, files) and text that goes out to terminals and documents.

What comes in goes through `received` before it is cut, kept or printed: secrets are masked, and it can be encoded. What
goes out is escaped by one function for each format: `terminal`, `markdown`, `code`, `latex`, `csv_cell`.
"""

import os
import re
import unicodedata
from collections.abc import Iterable

SECRETS = (
    "OPENAI_API_KEY",
    "NOISEWISE_API_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HUGGINGFACE_HUB_TOKEN",
    "WANDB_API_KEY",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)
"""Environment variables whose values are never shown: keys that the project, or a library that it calls, uses."""
RUN = 8
"""Consecutive characters of a secret that are masked wherever they stand; a shorter secret is masked as a whole."""
SHORTEST = 4
"""Length from which a value is taken for a secret: `none` and `x` are placeholders that local servers ask for."""
MASK = "***"
REASON_LETTERS = 300
"""Longest reason of a failure, in characters."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s?%?|[+-]?(inf|nan)")
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def received(text: str | bytes, secrets: Iterable[str] = (), *, shortest: int = SHORTEST) -> str:
    """Text from outside as it may be cut, kept and printed: without secrets, and encodable.

    Args:
        text: as it came; bytes are read as UTF-8, with U+FFFD for what is none.
        secrets: secrets beside those of the environment.
        shortest: as in `masked`.
    """
    return masked(clean_text(text), secrets, shortest=shortest)


def clean_text(text: str | bytes) -> str:
    """Text that UTF-8 can encode: U+FFFD stands for bytes that are not UTF-8, and for lone surrogates.

    Example:
        >>> clean_text("a\\udcffb") == clean_text(b"a\\xffb") == "a\\ufffdb"
        True
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return _SURROGATES.sub("\ufffd", text)


def shortened(text: str, letters: int = REASON_LETTERS) -> str:
    """Text on one line, cut after so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= letters else f"{line[: letters - 3]}..."


def masked(text: str, secrets: Iterable[str] = (), *, shortest: int = SHORTEST) -> str:
    """A text in which `***` stands for each secret, and for each part of one that is `RUN` characters or longer.

    Whether letters are capital, and characters between them that take no ink (spaces, line ends, zero-width and
    control characters, combining marks) make no difference: a secret that was cut or wrapped is found too.

    Args:
        text: any.
        secrets: secrets beside the values of `SECRETS` in the environment.
        shortest: values of fewer characters are taken for no secret.

    Example:
        >>> masked("bad key sk-SECR\\u200bET123, or T123", ["sk-SECRET123"])
        'bad key ***, or T123'
    """
    for secret in {*secrets, *(os.environ.get(name, "") for name in SECRETS)}:
        inked = [_folded(character) for character in secret if _takes_ink(character)]
        if len(inked) >= shortest:
            text = _without(text, "".join(inked))
    return text


def _without(text: str, secret: str) -> str:
    """A text with a mask in the place of the secret, which takes ink throughout and is in lower case."""
    run = min(RUN, len(secret))
    parts = {secret[start : start + run] for start in range(len(secret) - run + 1)}
    places = [place for place, character in enumerate(text) if _takes_ink(character)]
    inked = "".join(_folded(text[place]) for place in places)
    found, shown, start = [], 0, 0
    while start <= len(inked) - run:
        if inked[start : start + run] not in parts:
            start += 1
            continue
        end = start + run
        while end < len(inked) and inked[end - run + 1 : end + 1] in parts:
            end += 1
        found += [text[shown : places[start]], MASK]
        shown, start = places[end - 1] + 1, end
    return "".join([*found, text[shown:]])


def _takes_ink(character: str) -> bool:
    if character.isascii():
        return "!" <= character <= "~"
    return character != "\ufffd" and unicodedata.category(character)[0] in "LNPS"


def _folded(character: str) -> str:
    lower = character.lower()
    return lower if len(lower) == 1 else character


def terminal(text: str) -> str:
    """Text for a terminal, a log or a table of plain text: control characters are shown as `\\u001b`.

    Line feeds and tabs stay. Characters that turn the direction of writing and lone surrogates are shown so too.

    Example:
        >>> print(terminal("a\\x1b[2J\\u202eb\\udcff"))
        a\\u001b[2J\\u202eb\\udcff
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _one_line(text: str) -> str:
    return terminal(re.sub(r"[\r\n\t]+", " ", text))


def markdown(text: str) -> str:
    """Text within a line or a cell of Markdown: no HTML, code, link, heading, or new line or cell.

    Example:
        >>> print(markdown("a|b <script>\\n# c"), markdown("<0.001"))
        a\\|b &lt;script&gt; # c <0.001
    """
    line = re.sub(r"([|`\[\]])", r"\\\1", _one_line(text))
    line = re.sub(r"[<>](?!\d)", lambda found: "&lt;" if found[0] == "<" else "&gt;", line)
    return re.sub(r"^(\s*)(#|~~~|---|===)", r"\1\\\2", line)


def code(text: str) -> str:
    """Text as code within a line of Markdown; `<code>` where backticks could not hold it."""
    line = _one_line(text)
    return f"<code>{markdown(line)}</code>" if re.search(r"[`<>]", line) or not line.strip() else f"`{line}`"


def latex(text: str) -> str:
    """Text in LaTeX, on one line.

    Example:
        >>> print(latex("50 % ~x^2_"))
        50 \\% \\textasciitilde{}x\\textasciicircum{}2\\_
    """
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def csv_cell(text: str) -> str:
    """A cell of CSV or TSV that no spreadsheet takes for a formula: `'` stands before = + - @ unless it is a number.

    Control characters are shown as `terminal` shows them. Source: OWASP, CSV injection.

    Example:
        >>> [csv_cell(text) for text in ("=1+1", "-3.2", "-x", "a=b")]
        ["'=1+1", '-3.2', "'-x", 'a=b']
    """
    shown = terminal(text)
    return f"'{shown}" if shown.lstrip()[:1] in tuple("=+-@＝＋－＠") and not _NUMBER.fullmatch(shown) else shown
