"""Results to draw, and where their texts stand in a picture."""

import re
from dataclasses import replace

from noisewise.evaluation.conditions import CLEAN, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise

WORDS = ["A"] * 100


def result(*conditions: tuple[str, float, int]) -> GridResult:
    cells = [TextCell(CLEAN, [" ".join(WORDS)], {}, 0, "")]
    for kind, snr, wrong in conditions:
        cells.append(TextCell(in_noise(kind, snr), [" ".join(["X"] * wrong + WORDS[wrong:])], {}, 0, ""))
    found = summarise([Utterance("u", "s", " ".join(WORDS), 1.0)], cells, GridConfig(manifest=""))
    return replace(found, system="mine")


def positions(svg: str) -> dict[str, tuple[float, float]]:
    """Text to where it stands, (x, y) with y down."""
    found = re.findall(r'<text[^>]*transform="translate\(([\d.]+) ([\d.]+)\)[^>]*>([^<]+)</text>', svg)
    found += re.findall(r'<text[^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)</text>', svg)
    return {text.strip(): (float(x), float(y)) for x, y, text in found}
