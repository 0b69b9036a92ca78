"""A comparison as tables (Markdown, LaTeX, CSV) and as a list of the utterances that differ most."""

import csv
import io
from collections.abc import Callable, Iterator

from noisewise import safe_text
from noisewise.reports.comparison import Comparison, ItemDifference, Line, Pair
from noisewise.reports.measures import compared_degradation, compared_thresholds
from noisewise.reports.tables import NAMES, Table, as_latex, as_markdown

RATES = ["condition", "system", "wer", "wer_low", "wer_high"]
PAIRS = ["baseline", "difference", "difference_low", "difference_high", "z", "p", "better", "worse", "sign_p"]
TESTS = ["improvement", "segment_z", "segment_p", "corrected_p"]


def markdown(comparison: Comparison, utterances: int = 0) -> str:
    """Tables by noise type, by SNR and of every cell, and the greatest wins and losses of each system.

    Args:
        comparison: of two systems or more.
        utterances: wins and losses to list, each.
    """
    parts = [_head(comparison), *(as_markdown(table) for table in _tables(comparison))]
    for index, name in enumerate(comparison.names[1:] if utterances else []):
        baseline = comparison.names[0]
        wins, losses = comparison.wins(index, utterances), comparison.losses(index, utterances)
        parts.append(_listing(f"Where {name} wins most over {baseline}", wins, comparison.of_taggers))
        parts.append(_listing(f"Where {name} loses most to {baseline}", losses, comparison.of_taggers))
    return "\n".join(parts)


def latex(comparison: Comparison) -> str:
    """The same tables as LaTeX tabulars with booktabs rules."""
    return "\n".join(as_latex(table) for table in _tables(comparison))


def comma_separated(comparison: Comparison) -> str:
    """One line for each condition or mean and each system; rates as fractions, empty fields for the baseline.

    `'` stands before names that a spreadsheet would take for a formula.

    `wer` is the error rate of taggers, where these are compared.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*RATES, *PAIRS, *TESTS])
    for line in comparison.lines.values():
        for index, name in enumerate(comparison.names):
            rates = [line.wer[index], *line.ci[index]]
            pair = line.pairs[index - 1] if index else None
            cells = [line.name, name, *map(_number, rates), *_fields(pair, comparison.names[0])]
            writer.writerow([safe_text.csv_cell(str(cell)) for cell in cells])
    return text.getvalue()


def _fields(pair: Pair | None, baseline: str) -> list[object]:
    if pair is None:
        return [""] * len([*PAIRS, *TESTS])
    numbers = [*map(_number, (pair.difference, *pair.ci, pair.z)), f"{pair.p:.4g}"]
    tests = [pair.improvement, pair.segment_z, pair.segment_p, pair.corrected_p]
    shown = ["" if value is None else f"{value:.4g}" for value in tests]
    return [baseline, *numbers, pair.better, pair.worse, f"{pair.sign_p:.4g}", *shown]


def _head(comparison: Comparison) -> str:
    if comparison.of_taggers:
        text = f"{comparison.utterances} clips; errors are clips whose best class is none of their labels. "
    else:
        rules = safe_text.markdown(comparison.normaliser)
        text = f"{comparison.utterances} utterances, {comparison.words} words, {rules}. "
    baseline = safe_text.markdown(comparison.names[0])
    text += (
        f"Differences are to {baseline}, with 95 % of paired bootstrap resamples ({_unit(comparison)}s), "
        "p of matched pairs. A star marks p below 0.05 in a cell, two stars that it is below 0.05 after Holm's "
        "correction over all conditions.\n"
    )
    if comparison.left_out:
        text += f"Not measured for all, and left out: {safe_text.markdown(', '.join(comparison.left_out))}.\n"
    return text


def _unit(comparison: Comparison) -> str:
    names = {"utterance": "clip", "speaker": "source"} if comparison.of_taggers else {}
    names |= {"hierarchical": "speakers, then utterance"}
    return safe_text.markdown(names.get(comparison.unit, comparison.unit))


def _measure(comparison: Comparison) -> str:
    return "errors (%)" if comparison.of_taggers else "WER (%)"


def _tables(comparison: Comparison) -> Iterator[Table]:
    means = [name for name in NAMES if name in comparison.lines]
    measure = _measure(comparison)
    names = [*comparison.noise_types, *comparison.degradations]
    yield _table(comparison, measure, ["clean", *names, *means], _shown)
    if comparison.degradations:
        yield _table(comparison, measure, [name for name in comparison.lines if "@" in name], _shown)
    if comparison.snrs_db:
        by_snr = [f"all@{snr:g}" for snr in comparison.snrs_db if f"all@{snr:g}" in comparison.lines]
        yield _table(comparison, f"{measure}, all types", by_snr, lambda name: f"{name.partition('@')[2]} dB")
        yield _cells(comparison)
    if comparison.werd:
        yield compared_degradation(comparison.names, comparison.werd)
    for doubled in (True, False) if all(comparison.thresholds) else ():
        yield compared_thresholds(comparison.names, comparison.thresholds, doubled=doubled)
    yield _improvements(comparison, ["clean", *names, *means])


def _table(comparison: Comparison, corner: str, rows: list[str], shown: Callable[[str], str]) -> Table:
    others = comparison.names[1:]
    pairs = [part for name in others for part in (f"{name} - {comparison.names[0]}", "p")]
    lines = [[corner, *comparison.names, *pairs]]
    for name in rows:
        line = comparison.lines[name]
        found = [part for pair in line.pairs for part in (_difference(pair), _probability(pair.p))]
        lines.append([shown(name), *(f"{100 * rate:.1f}" for rate in line.wer), *found])
    return lines


def _cells(comparison: Comparison) -> Table:
    """The rates of all systems, in their order, at each type and SNR; a star where p of matched pairs is below 0.05,
    two where it still is after Holm's correction over the grid."""
    lines = [
        [f"{_measure(comparison)}: {' / '.join(comparison.names)}", *(f"{snr:g} dB" for snr in comparison.snrs_db)]
    ]
    for kind in comparison.noise_types:
        cells = [comparison.lines.get(f"{kind}@{snr:g}") for snr in comparison.snrs_db]
        lines.append([_shown(kind), *("" if cell is None else _cell(cell) for cell in cells)])
    return lines


def _cell(line: Line) -> str:
    stars = ["", *map(_stars, line.pairs)]
    return " / ".join(f"{100 * rate:.1f}{star}" for rate, star in zip(line.wer, stars, strict=True))


def _stars(pair: Pair) -> str:
    if pair.corrected_p is not None and pair.corrected_p < 0.05:
        return "**"
    return "*" if pair.p < 0.05 else ""


def _improvements(comparison: Comparison, rows: list[str]) -> Table:
    """How sure it is that each system makes fewer errors than the baseline."""
    lines = [["probability of improvement (%)", *comparison.names[1:]]]
    for name in rows:
        lines.append([_shown(name), *(f"{100 * pair.improvement:.1f}" for pair in comparison.lines[name].pairs)])
    return lines


def _listing(title: str, differences: list[ItemDifference], of_taggers: bool) -> str:
    lines = [f"### {safe_text.markdown(title)}\n"]
    for one in differences:
        words = f"{one.words} word{'' if one.words == 1 else 's'}"
        counts = "right to wrong" if one.difference > 0 else "wrong to right"
        counts = counts if of_taggers else f"{one.errors[0]} to {one.errors[1]} errors in {words}"
        lines.append(f"- {safe_text.markdown(f'{one.id}, {one.condition}')}: {counts}")
        if one.reference is not None and one.hypotheses is not None:
            given, found = ("label", "best class") if of_taggers else ("reference", "hypothesis")
            lines += [
                f"  - {given}: {safe_text.markdown(one.reference)}",
                *(f"  - {found}: {safe_text.markdown(text) or '(empty)'}" for text in one.hypotheses),
            ]
    return "\n".join(lines if differences else [*lines, "nowhere"]) + "\n"


def _shown(name: str) -> str:
    return NAMES.get(name, name.replace("_", " "))


def _difference(pair: Pair) -> str:
    low, high = pair.ci
    return f"{100 * pair.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _probability(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _number(value: float) -> str:
    return f"{value:.6g}"
