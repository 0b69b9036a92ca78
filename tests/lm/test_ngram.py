"""The reader of ARPA files: back-off by hand, and files that are broken."""

import gzip
import math
from pathlib import Path

import pytest

from noisewise.errors import DecodingError
from noisewise.lm.loading import load
from noisewise.lm.ngram import NGram
from noisewise.lm.protocol import LN_10, sentence_score

ARPA = """\
a comment before the data

\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.7\t</s>
-0.6\tA\t-0.3
-0.8\tB\t-0.2

\\2-grams:
-0.4\t<s> A\t-0.1
-0.5\tA B\t-0.15
-0.45\tB A\t-0.05
-0.25\tB </s>

\\3-grams:
-0.2\t<s> A B
-0.35\tA B A

\\end\\
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path / "lm.arpa"


@pytest.mark.parametrize(
    ("sentence", "log10"),
    [
        ("", -0.5 - 0.7),  # <s> </s>: back off from <s>
        ("A", -0.4 + -0.1 - 0.3 - 0.7),  # <s> A, then </s>: back off from `<s> A`, then from A
        ("A B", -0.4 - 0.2 + -0.15 - 0.25),  # <s> A B, then B </s> below A B
        ("A B A", -0.4 - 0.2 - 0.35 + -0.05 - 0.3 - 0.7),
        ("C B", -0.5 - 1.0 + -0.8 + -0.25),  # unknown has no history behind it
        ("B B", -0.5 - 0.8 + -0.2 - 0.8 + -0.25),
    ],
)
def test_back_off_by_hand(path: Path, sentence: str, log10: float) -> None:
    assert sentence_score(load(path), sentence.split()) == pytest.approx(log10 * LN_10)


def test_states_of_equal_histories_are_equal(path: Path) -> None:
    model = NGram.load(path)
    states = []
    for sentence in ("B A B", "A A B"):
        state = model.start()
        for token in sentence.split():
            state = model.score(state, token)[1]
        states.append(state)
    assert states[0] == states[1]
    assert model.knows("A") and not model.knows("C")


def test_a_model_without_unknown_words(tmp_path: Path) -> None:
    text = ARPA.replace("-1.0\t<unk>\n", "").replace("1=5", "1=4")
    (tmp_path / "lm.arpa").write_text(text)
    model = load(tmp_path / "lm.arpa")
    assert model.score(model.start(), "C")[0] == pytest.approx((-100 - 0.5) * LN_10)


def test_packed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "lm.arpa.gz").write_bytes(gzip.compress(ARPA.encode()))
    packed = load(tmp_path / "lm.arpa.gz")
    assert sentence_score(packed, ["A", "B"]) == sentence_score(load(path), ["A", "B"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\\n", "", "must go on with .data., but ends"),
        ("ngram 2=4", "ngram 3=4", "line 5: must be `ngram 2=COUNT`"),
        ("ngram 2=4", "ngram 2=many", "line 5"),
        ("ngram 2=4", "ngram 2=5", "line 21.*5 times.*.3-grams:"),
        ("ngram 2=4", "ngram 2=3", "line 19: must be .3-grams:"),
        ("ngram 1=5\nngram 2=4\nngram 3=2\n", "", "count above 0"),
        ("-0.4\t<s> A\t-0.1", "x\t<s> A\t-0.1", "line 16: must begin with a logarithm"),
        ("-0.4\t<s> A\t-0.1", "0.4\t<s> A\t-0.1", "line 16.*0 or less"),
        ("-0.4\t<s> A\t-0.1", "nan\t<s> A\t-0.1", "line 16"),
        ("-0.4\t<s> A\t-0.1", "-0.4\t<s>", "line 16: must be a logarithm, 2 tokens"),
        ("-0.4\t<s> A\t-0.1", "-0.4\t<s> Z\t-0.1", "line 16: must hold tokens of the 1-grams.*'Z'"),
        ("-0.4\t<s> A\t-0.1", "-0.4\tA B\t-0.1", "line 17: must not repeat an n-gram"),
        ("-0.6\tA\t-0.3", "-0.6\tB\t-0.3", "line 13: must not repeat a token"),
        ("-0.35\tA B A", "-0.35\tA A A", "line 23: must come after an n-gram of its first tokens"),
        ("\\end\\\n", "", "must go on with .end., but ends after line 24"),
        ("\\end\\", "\\4-grams:", "must be .end."),
    ],
)
def test_broken_files_name_the_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ARPA
    (tmp_path / "lm.arpa").write_text(ARPA.replace(old, new, 1))
    with pytest.raises(DecodingError, match=message):
        load(tmp_path / "lm.arpa")


def test_no_text_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DecodingError, match="UTF-8"):
        load(tmp_path / "lm.arpa")
    (tmp_path / "lm.arpa.gz").write_bytes(gzip.compress(ARPA.encode())[:-20])
    with pytest.raises(DecodingError, match="gzip"):
        load(tmp_path / "lm.arpa.gz")
    (tmp_path / "empty.arpa").write_text("")
    with pytest.raises(DecodingError, match="ends after line 0"):
        load(tmp_path / "empty.arpa")
    with pytest.raises(DecodingError, match="no such file"):
        load(tmp_path / "none.arpa")


def test_missing_shorter_n_grams_are_skipped(tmp_path: Path) -> None:
    """Pruned models may hold `<s> A B` without `A B`; the state then is that of B."""
    text = ARPA.replace("-0.5\tA B\t-0.15\n", "").replace("2=4", "2=3").replace("3=2", "3=1")
    (tmp_path / "lm.arpa").write_text(text.replace("-0.35\tA B A\n", ""))
    assert sentence_score(load(tmp_path / "lm.arpa"), ["A", "B"]) == pytest.approx((-0.4 - 0.2 - 0.25) * LN_10)


def test_infinite_scores_do_not_break_sums(path: Path) -> None:
    assert math.isfinite(sentence_score(load(path), ["C"] * 50))


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz", "lm"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_and_gzip_by_content(path: Path, tmp_path: Path, name: str, packed: bool) -> None:
    expected = sentence_score(load(path), ["A", "B"])
    content = b"\xef\xbb\xbf" + ARPA.removeprefix("a comment before the data\n\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    assert sentence_score(load(tmp_path / name), ["A", "B"]) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\\data\\\nngram 1=²\n", "line 2: must be `ngram 1=COUNT`"),
        ("\\data\\\nngram 1=٣\n", "line 2: must be `ngram 1=COUNT`"),
        (f"\\data\\\nngram 1={'9' * 5000}\n", "line 2: must be `ngram 1=COUNT`"),
        ("\\data\\\nngram 1=-1\n", "line 2: must be `ngram 1=COUNT`"),
        ("\\data\\\n" + "".join(f"ngram {order}=1\n" for order in range(1, 201)), "must be at most 32 counts"),
        ("\\data\\\nngram 1=999999999999\n\n\\1-grams:\n-1\tA\n", "must go on with 999999999999 1-grams"),
        ("x" * 2**21, "lines of less than"),
        ("\n" * 20_000, "must go on with"),
        ("text\n" * 20_000, "must have begun with"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n" + "\n" * 20_000, "must go on with"),
        ("mmap lm http://kheafield.com/code format version 5\n\0", "a binary of KenLM instead; read it with"),
    ],
)
def test_hostile_files_are_refused_in_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "lm.arpa").write_text(content)
    with pytest.raises(DecodingError, match=message) as error:
        load(tmp_path / "lm.arpa")
    assert len(str(error.value)) < 400 + len(str(tmp_path))


def test_a_truncated_file_never_loads(tmp_path: Path) -> None:
    whole = ARPA.encode().strip()
    for length in range(0, len(whole) - 1, 7):
        (tmp_path / "lm.arpa").write_bytes(whole[:length])
        with pytest.raises(DecodingError):
            load(tmp_path / "lm.arpa")


def test_a_probability_of_zero_is_a_very_small_one(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(ARPA.replace("-0.6\tA\t-0.3", "-inf\tA\t-0.3"))
    assert load(tmp_path / "lm.arpa").score(-1, "A")[0] == pytest.approx(-100 * LN_10)
