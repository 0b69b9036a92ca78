"""Subtitles: what a reader must be able to rely on, whatever the words."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisewise.decoding.hypothesis import Word
from noisewise.errors import ConfigError
from noisewise.inference.subtitles import SubtitleConfig, cues


def spoken(*words: tuple[str, float, float]) -> list[Word]:
    return [Word(text, start, end, 1.0) for text, start, end in words]


TIMED = st.lists(
    st.tuples(st.text("ABCDEFG", min_size=1, max_size=60), st.floats(0, 3), st.floats(0, 1.5)), min_size=1, max_size=30
)


@given(TIMED, st.integers(8, 60), st.integers(1, 3), st.sampled_from(["", "B:"]))
def test_cues_neither_overlap_nor_grow_and_every_letter_is_shown(
    timed: list[tuple[str, float, float]], length: int, lines: int, label: str
) -> None:
    words, now = [], 0.0
    for text, pause, seconds in timed:
        words.append(Word(text, now + pause, now + pause + seconds, 1.0))
        now += pause + seconds
    config = SubtitleConfig(max_line_length=length, max_lines=lines)
    found = list(cues(words, config, label))
    assert all(cue.start < cue.end <= cue.start + 6.0 + 1e-6 for cue in found)
    assert all(first.end <= second.start for first, second in pairwise(found))
    assert all(len(cue.lines) <= lines and max(map(len, cue.lines)) <= length for cue in found)
    shown = "".join("".join(cue.lines).removeprefix(label).replace(" ", "") for cue in found)
    assert shown == "".join(word.text for word in words)


def test_a_short_cue_is_shown_for_a_second_or_goes_to_its_neighbour() -> None:
    (alone,) = cues(spoken(("YES", 3.0, 3.04)))
    assert (alone.start, alone.end) == (3.0, 4.0)
    (joined,) = cues(spoken(("YES", 0.0, 0.04), ("SIR", 0.9, 1.3)))
    assert joined.lines == ["YES SIR"]
    first, second = cues(spoken(("YES", 0.0, 0.3), ("SIR", 3.0, 3.4)), SubtitleConfig(trail=9.0))
    assert first.end == pytest.approx(2.92) and second.end == 9.0


def test_letters_that_are_spelled_are_together() -> None:
    for pause in (0.1, 0.9, 1.9):
        times = [at * (0.1 + pause) for at in range(4)]
        found = list(cues(spoken(*((letter, at, at + 0.1) for letter, at in zip("RUBE", times, strict=True)))))
        assert all(sum(map(len, cue.lines)) > 1 for cue in found)
    (lone,) = cues(spoken(("ENTER", 0.0, 0.5), ("Q", 1.6, 1.7)))
    assert lone.lines == ["ENTER Q"]


def test_lines_are_of_about_the_same_length_and_lead_and_gap_are_kept() -> None:
    words = spoken(*((f"WORD{at}", at * 0.3, at * 0.3 + 0.3) for at in range(10)))
    (cue,) = cues(words)
    assert len(cue.lines) == 2 and abs(len(cue.lines[0]) - len(cue.lines[1])) <= 6
    early, late = cues(spoken(("A1", 1.0, 3.0), ("B1", 4.0, 5.0)), SubtitleConfig(lead=0.5, gap=0.4))
    assert (early.start, early.end, late.start) == (0.5, 3.1, 3.5)


@pytest.mark.parametrize(
    "wrong", [{"max_line_length": 3}, {"max_lines": 0}, {"min_seconds": 9.0}, {"max_seconds": 0.0}, {"gap": -1.0}]
)
def test_forms_that_no_subtitle_can_have(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}` must be"):
        SubtitleConfig(**wrong)  # type: ignore[arg-type]
