"""Secrets, and what terminals, spreadsheets and documents would take for more than text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisewise import safe_text

KEY = "sk-SECRETSECRET0123456789"
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)
UNSEEN = ["", "\u200b", "\u200d", "\ufeff", " ", "\n", "\u2060", "\x1b", "\u0301", "\u00ad", "\ud800"]


def parts(key: str) -> list[str]:
    """All runs of eight characters of a key."""
    return [key[start : start + 8] for start in range(len(key) - 7)]


def shows(text: str, key: str) -> bool:
    """Whether eight characters of a key follow one another in a text, whatever stands between them unseen."""
    seen = "".join(
        character for character in text if character.isascii() and character.isprintable() and character != " "
    )
    return any(part.lower() in seen.replace("***", " ").lower() for part in parts(key))


@settings(deadline=None)
@given(KEYS, st.sampled_from(UNSEEN), st.text(max_size=20), st.text(max_size=20), st.integers(0, 60), st.booleans())
def test_no_eight_characters_of_a_key_are_left(
    key: str, between: str, before: str, after: str, cut: int, upper: bool
) -> None:
    written = (key.upper() if upper else key)[: max(cut, 8)]
    text = before + between.join(written) + after + repr(written.encode())
    assert not shows(safe_text.masked(text, [key]), key)
    assert not shows(safe_text.shortened(safe_text.received(text, [key]), 30), key)


@pytest.mark.parametrize("name", safe_text.SECRETS)
def test_keys_of_the_environment_are_masked_unasked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, KEY)
    assert safe_text.received(f"bad {KEY}!") == "bad ***!"
    assert safe_text.received(f"{KEY[3:14]}, {KEY[10:]}") == "***, ***"
    assert safe_text.received(KEY[:7]) == KEY[:7]


@pytest.mark.parametrize("key", ["x", "no"])
def test_placeholders_are_no_secrets(key: str) -> None:
    assert safe_text.masked("no box", [key]) == "no box"
    assert safe_text.masked("AN EMPTY ROOM", ["EMPTY"], shortest=safe_text.RUN) == "AN EMPTY ROOM"


def test_other_text_is_left_as_it_is() -> None:
    text = "Schlüssel\u200b: нет\n\t e\u0301 sk-SEC"
    assert safe_text.received(text, [KEY]) == text


@given(st.text(st.characters(), max_size=50))
def test_what_has_been_received_can_be_kept(text: str) -> None:
    safe_text.clean_text(text).encode()
    safe_text.terminal(text).encode()


@pytest.mark.parametrize("raw", [b"a\xff", b"a\xed\xa0\x80", "a\ud800", "a\udcff"])
def test_what_cannot_be_encoded_is_replaced(raw: str | bytes) -> None:
    assert safe_text.clean_text(raw).startswith("a\ufffd")


@given(st.text(st.characters(), max_size=50))
def test_nothing_of_a_text_controls_a_terminal(text: str) -> None:
    shown = safe_text.terminal(text)
    assert not [one for one in shown if (ord(one) < 32 and one not in "\n\t") or 127 <= ord(one) < 160]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]0;x\x07\x1b[2Jb", "a\\u001b]0;x\\u0007\\u001b[2Jb"),
        ("a\rb\x9b2J\x7f", "a\\u000db\\u009b2J\\u007f"),
        ("\u202egnp.exe \u2028", "\\u202egnp.exe \\u2028"),
        ("\udcff", "\\udcff"),
        ("نص\u200cعربي\tÄ\n", "نص\u200cعربي\tÄ\n"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert safe_text.terminal(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a\n# Hacked", "a # Hacked"),
        ("# Hacked", "\\# Hacked"),
        ("a|b`c", "a\\|b\\`c"),
        ("![x](http://a)", "!\\[x\\](http://a)"),
        ("<!-- x", "&lt;!-- x"),
        ("p <0.001, -3.2 (95 %)", "p <0.001, -3.2 (95 %)"),
    ],
)
def test_markdown_holds_text_alone(text: str, shown: str) -> None:
    assert safe_text.markdown(text) == shown


def test_code_in_markdown_cannot_be_left() -> None:
    assert safe_text.code("noisewise evaluate --model box|x") == "`noisewise evaluate --model box|x`"
    assert safe_text.code("a`\n# b<i>") == "<code>a\\` # b&lt;i&gt;</code>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"a\b", r"a\textbackslash{}b"),
        ("50 % & $x_1^2~", r"50 \% \& \$x\_1\textasciicircum{}2\textasciitilde{}"),
        ("{#}", r"\{\#\}"),
        ("<a|b>\x1b\n", r"\textless{}a\textbar{}b\textgreater{}\textbackslash{}u001b "),
    ],
)
def test_latex_sets_what_is_written(text: str, shown: str) -> None:
    assert safe_text.latex(text) == shown


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-x", "@SUM(A1)", " =1", "＝1", "-3.2.1", "+"])
def test_spreadsheets_see_no_formula(text: str) -> None:
    assert safe_text.csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-3.2", "+5", "-1e-05", "-inf", "-3 %", "", "a=b", "x@y", "-.5"])
def test_numbers_and_words_stay(text: str) -> None:
    assert safe_text.csv_cell(text) == text
