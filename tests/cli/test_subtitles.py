"""The options of subtitles on a command line."""

import inspect

import pytest

from noisewise.cli.subtitles import SubtitleOptions, with_subtitles
from noisewise.errors import ConfigError
from noisewise.inference.subtitles import SubtitleConfig


def test_options_become_a_form() -> None:
    assert SubtitleOptions().chosen() == SubtitleConfig()
    wanted = SubtitleConfig(max_line_length=32, max_seconds=5.0, lead=0.1)
    assert SubtitleOptions(max_line_length=32, max_cue_seconds=5.0, cue_lead=0.1).chosen() == wanted
    with pytest.raises(ConfigError, match="`max_lines` must be"):
        SubtitleOptions(max_lines=0).chosen()


def test_a_command_is_given_them() -> None:
    def command(file: str, subtitles: SubtitleOptions) -> tuple[str, SubtitleOptions]:
        return file, subtitles

    given = with_subtitles(command)
    assert [*inspect.signature(given).parameters][:2] == ["file", "max_line_length"]
    defaults = {name: None for name in inspect.signature(SubtitleOptions).parameters}
    assert given(file="a", **{**defaults, "max_lines": 3}) == ("a", SubtitleOptions(max_lines=3))
