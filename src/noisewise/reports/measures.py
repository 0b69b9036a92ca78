"""Tables of what a grid holds beside its rates: SNR thresholds, hallucinated words, likelihoods, subgroups."""

from collections.abc import Mapping, Sequence

from noisewise.evaluation.degradation_scores import groups_of
from noisewise.evaluation.result import GridResult, Rate, SnrThresholds, SpeechFree, Subgroup, Threshold

NAMES = {"type_a": "type A", "type_b": "type B", "all": "all types"}
Table = list[list[str]]


def sections(result: GridResult) -> list[tuple[str, Table]]:
    """Title and table of each measure that a result holds."""
    found: list[tuple[str, Table]] = []
    if result.thresholds:
        found.append(("Which SNR it needs", snr_thresholds(result.thresholds)))
    if result.werd:
        found.append(("Degradation by group", degradation(result)))
    if result.speech_free is not None:
        found.append(("Words in noise without speech", speech_free(result.speech_free)))
    if result.clean.nll:
        found.append(("Likelihood of the references", likelihoods(result)))
    for column, groups in result.subgroups.items():
        found.append((f"By {column.replace('_', ' ')}", subgroups(column, groups)))
    return found


def snr_thresholds(found: Mapping[str, SnrThresholds]) -> Table:
    """Each noise type: the SNR at which the word error rate is twice that of clean speech, and that at 50 %."""
    lines = [["SNR (dB) at which WER", "doubles", "reaches 50 %"]]
    return [*lines, *([named(kind), threshold(one.doubled), threshold(one.half)] for kind, one in found.items())]


def compared_thresholds(names: Sequence[str], found: Sequence[Mapping[str, SnrThresholds]], *, doubled: bool) -> Table:
    """One of the two thresholds of each system, for the noise types that all have."""
    kinds = [kind for kind in found[0] if all(kind in one for one in found)]
    lines = [[f"SNR (dB) at which WER {'doubles' if doubled else 'reaches 50 %'}", *names]]
    for kind in kinds:
        lines.append([named(kind), *(threshold(one[kind].doubled if doubled else one[kind].half) for one in found)])
    return lines


def threshold(one: Threshold) -> str:
    """A threshold with its interval, or where it lies.

    Example:
        >>> threshold(Threshold(3.93, [1.7, 6.8])), threshold(Threshold(None, [0.0, 0.0], "below"))
        ('3.9 (1.7 to 6.8)', 'below 0')
    """
    if one.ci is None:
        return "undefined" if one.snr_db is None else f"{one.snr_db:.1f}"
    low, high = one.ci
    if one.snr_db is not None:
        return f"{one.snr_db:.1f} ({low:.1f} to {high:.1f})"
    edge = low if one.where == "below" else high
    return f"{one.where} {edge:g}" if low == high else f"{one.where} {edge:g} ({low:.1f} to {high:.1f})"


def degradation(result: GridResult) -> Table:
    """Mean word error rate and mean degradation of each group of a suite."""
    lines = [["corruptions", "cells", "WER (%)", "mWERD (points)"]]
    for name, keys in groups_of(result).items():
        rate = sum(result.rows[key].wer for key in keys) / len(keys)
        lines.append([name, str(len(keys)), percent(rate), with_interval(result.werd[name])])
    return lines


def compared_degradation(names: Sequence[str], found: Sequence[Mapping[str, tuple[Rate, float]]]) -> Table:
    """Mean degradation of each group, and normalised by the difficulty that the first of the systems sees."""
    heads = [head for name in names for head in (f"{name}, mWERD (points)", f"{name}, NWERD")]
    lines = [["corruptions", *heads]]
    for group in found[0]:
        cells = [cell for one in found for cell in (with_interval(one[group][0]), f"{one[group][1]:.2f}")]
        lines.append([group, *cells])
    return lines


def speech_free(found: SpeechFree) -> Table:
    """Hallucinated words, over all recordings and by noise type."""
    lines = [["noise without speech", "minutes", "words per minute", "recordings with words (%)"]]
    for kind in sorted({*found.types} - {""}):
        places = [place for place, other in enumerate(found.types) if other == kind]
        seconds = sum(found.durations[place] for place in places)
        words = sum(found.words[place] for place in places)
        share = sum(found.words[place] > 0 for place in places) / len(places)
        lines.append([named(kind), f"{seconds / 60:.1f}", f"{60 * words / seconds:.1f}", percent(share)])
    rates = [with_interval(found.words_per_minute, 1), with_interval(found.with_words)]
    return [*lines, ["all", f"{found.seconds / 60:.1f}", *rates]]


def likelihoods(result: GridResult) -> Table:
    """Nats per token of each condition, by each criterion."""
    names = list(result.clean.nll or {})
    lines = [["-ln P of the references (nats per token)", *({"ctc": "CTC"}.get(name, name) for name in names)]]
    for key, row in result.rows.items():
        rates = [(row.nll or {}).get(name) for name in names]
        lines.append([key, *("" if rate is None else f"{rate.value:.3f}" for rate in rates)])
    return lines


def subgroups(column: str, groups: Mapping[str, Subgroup]) -> Table:
    """A line for each value of a column, with the rates of clean speech and of the means over conditions."""
    names = [name for name in ("clean", "type_a", "type_b", "all") if all(name in one.rates for one in groups.values())]
    lines = [[column.replace("_", " "), "utterances", "speakers", *(f"{named(name)}, WER (%)" for name in names)]]
    for value, one in groups.items():
        rates = [with_interval(one.rates[name]) for name in names]
        lines.append([value, str(one.items), str(one.groups), *rates])
    return lines


def with_interval(rate: Rate, scale: float = 100) -> str:
    """A rate with its interval, in percent."""
    low, high = rate.ci or [rate.value] * 2
    return f"{scale * rate.value:.1f} ({scale * low:.1f} to {scale * high:.1f})"


def percent(rate: float) -> str:
    """A rate in percent, with one decimal."""
    return f"{100 * rate:.1f}"


def named(name: str) -> str:
    """A noise type or a mean as tables write it."""
    return NAMES.get(name, name.replace("_", " "))
