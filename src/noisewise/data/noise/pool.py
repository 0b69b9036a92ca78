"""Noise for speech: which file, which part of it, at which SNR, drawn from names alone.

A draw depends on (seed, epoch, utterance id) and on the noise manifest, never on the order of calls, so the
noisy set is the same on any machine, for any number of workers, after any resume. lhotse's `CutMix` draws
from one running generator, which gives none of these.
"""

import logging
import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from noisewise.audio import waveform
from noisewise.audio.mix import SILENCE_RMS, Waveform, mix, rms
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.config import config, within
from noisewise.data.checks.quarantine import without
from noisewise.data.manifests.cuts import Cut, audio_of, column, load_audio, path_of
from noisewise.data.manifests.read import read, read_many
from noisewise.data.random_streams import Draws
from noisewise.errors import AudioError, ConfigError, DataError

log = logging.getLogger(__name__)

ATTEMPTS = 16
"""Number of draws of a segment before the loudest of the file is taken."""
WHOLE_FILE_SECONDS = 600.0
"""Longer files are read in parts. The bound looks at the file alone, so that no cache can change a sample."""


@config
class NoiseConfig:
    """Which noise is added, how often, and how loud."""

    manifest: str
    """Manifest of noise files, whose column `label` is the type of noise."""
    also: list[str] = field(default_factory=list)
    """Further manifests, taken whole, unless they carry a `#` filter of their own."""
    split: str | None = None
    """Split of `manifest` to keep; all when absent."""
    types: list[str] | None = None
    """Types of noise to keep; all when absent."""
    ids: list[str] | None = None
    """Noise ids to keep; all when absent."""
    exclude: list[str] = field(default_factory=list)
    """Noise ids to leave out, for instance to hold recordings back for validation."""
    snr_db: list[float] = field(default_factory=lambda: [0.0, 5.0, 10.0, 15.0, 20.0, 25.0])
    """Signal-to-noise ratios to choose from, in dB."""
    snr_low: float | None = None
    """Lower end of a range in dB to draw the signal-to-noise ratio from, instead of `snr_db`; needs `snr_high`."""
    snr_high: float | None = None
    """Upper end of the range of signal-to-noise ratios, in dB; needs `snr_low`."""
    probability: float = 1.0
    """Share of utterances that get noise."""
    compat: bool = False
    """Take the square root of the gain, as the mixing code of published test sets does: the true SNR is then about half
    the one named."""
    cache_mb: int = 256
    """Decoded noise kept in memory by each worker, in MiB."""

    def __post_init__(self) -> None:
        within(0, 1, probability=self.probability)
        within(0, math.inf, cache_mb=self.cache_mb)
        if (self.snr_low is None) != (self.snr_high is None):
            raise ConfigError("`snr_low` and `snr_high` must be given together, but only one is; add the other")
        if self.snr_low is not None and self.snr_high is not None and self.snr_low > self.snr_high:
            raise ConfigError(
                f"`snr_low` must be at most `snr_high`, but is {self.snr_low} > {self.snr_high}; swap them"
            )
        if not self.snr_db and self.snr_low is None:
            raise ConfigError(
                "`snr_db` must name at least one ratio, but is empty; add one, or give snr_low and snr_high"
            )


@dataclass(frozen=True)
class NoiseDraw:
    """One noise segment and its level: all that is needed to make a mixture again."""

    id: str
    path: str
    type: str
    offset: int
    """First sample of the segment, at 16 kHz; the file repeats when it ends too early."""
    snr_db: float


class NoisePool:
    """Noise files by type, and the draws from them."""

    def __init__(
        self, cuts: Iterable[Cut], config: NoiseConfig, seed: int, quarantine: frozenset[str] = frozenset()
    ) -> None:
        """Keep the chosen cuts, without those whose ids are in a quarantine list.

        Raises:
            DataError: no noise is left, a type that is asked for is absent, or an id is unknown.
        """
        self.config, self.seed = config, seed
        self._cuts = {cut.id: cut for cut in _chosen(cuts, config, quarantine)}
        self._by_type: dict[str, list[Cut]] = {}
        for cut in sorted(self._cuts.values(), key=lambda cut: str(cut.id)):
            self._by_type.setdefault(column(cut, "label") or "noise", []).append(cut)
        self._decoded: OrderedDict[str, Waveform] = OrderedDict()
        self._held = 0

    @classmethod
    def load(cls, config: NoiseConfig, seed: int, quarantine: frozenset[str] = frozenset()) -> "NoisePool":
        """Read the manifests of a config."""
        return cls([*read(config.manifest, split=config.split), *read_many(config.also)], config, seed, quarantine)

    @property
    def types(self) -> list[str]:
        """The noise types, sorted."""
        return sorted(self._by_type)

    def draw(self, epoch: int, utterance_id: str, samples: int) -> NoiseDraw | None:
        """The noise of an utterance of `samples` samples in an epoch; None when it stays clean."""
        draws = Draws(self.seed, epoch, utterance_id)
        if not draws.chance(self.config.probability):
            return None
        kind = draws.choice(self.types)
        return self._segment_of(kind, self._snr_db(draws), samples, draws)

    def draw_at(self, utterance_id: str, type: str, snr_db: float, samples: int) -> NoiseDraw:
        """The noise of one cell of a grid; every SNR of an (utterance, type) pair gets the same segment.

        Raises:
            DataError: the pool has no such type.
        """
        if type not in self._by_type:
            raise DataError(f"`type` must be one of {self.types}, but is '{type}' instead")
        return self._segment_of(type, snr_db, samples, Draws(self.seed, type, utterance_id))

    def segment(self, draw: NoiseDraw, samples: int) -> Waveform:
        """The samples of a draw before any gain, (samples,) float32."""
        return self._part(self._cuts[draw.id], draw.offset, samples)

    def apply(self, clean: Waveform, epoch: int, utterance_id: str) -> tuple[Waveform, NoiseDraw | None, float]:
        """Add the noise of an utterance: (noisy, what was drawn, gain on the noise).

        Raises:
            AudioError: the speech is silent.
        """
        return self._mixed(clean, self.draw(epoch, utterance_id, len(clean)))

    def at(self, utterance_id: str, type: str, snr_db: float, clean: Waveform) -> tuple[Waveform, NoiseDraw, float]:
        """The mixture of one cell of a grid: (noisy, draw, gain); the same for every caller.

        Raises:
            AudioError: the speech is silent. DataError: the pool has no such type.
        """
        draw = self.draw_at(utterance_id, type, snr_db, len(clean))
        noisy, _, gain = self._mixed(clean, draw)
        return noisy, draw, gain

    def _mixed(self, clean: Waveform, draw: NoiseDraw | None) -> tuple[Waveform, NoiseDraw | None, float]:
        if draw is None:
            return clean, None, 0.0
        mixture = mix(clean, self.segment(draw, len(clean)), draw.snr_db, compat=self.config.compat)
        return mixture.noisy, draw, mixture.gain

    def _snr_db(self, draws: Draws) -> float:
        low, high = self.config.snr_low, self.config.snr_high
        return draws.choice(self.config.snr_db) if low is None or high is None else draws.uniform(low, high)

    def _segment_of(self, kind: str, snr_db: float, samples: int, draws: Draws) -> NoiseDraw:
        cut = draws.choice(self._by_type[kind])
        offset = self._offset(cut, samples, draws)
        return NoiseDraw(cut.id, path_of(cut), kind, offset, snr_db)

    def _offset(self, cut: Cut, samples: int, draws: Draws) -> int:
        """A start whose segment is audible: recordings have pauses, and a pause cannot be given an SNR."""
        total = self._length(cut)
        starts = total - samples + 1 if total >= samples else total
        for _ in range(ATTEMPTS):
            offset = draws.below(starts)
            if rms(self._part(cut, offset, samples)) > SILENCE_RMS:
                return offset
        step = max(1, starts // 64)
        loudest = max(range(0, starts, step), key=lambda start: rms(self._part(cut, start, samples)))
        if rms(self._part(cut, loudest, samples)) <= SILENCE_RMS:
            raise AudioError(
                f"noise `{path_of(cut)}` must be audible, but is silent; remove it from the noise manifest"
            )
        return loudest

    def _part(self, cut: Cut, offset: int, samples: int) -> Waveform:
        total = self._length(cut)
        if self._is_read_in_parts(cut) and offset + samples <= total:
            return self._read_part(cut, offset, samples)
        whole = self._whole(cut)
        if offset + samples <= len(whole):
            return whole[offset : offset + samples]
        return np.take(whole, np.arange(offset, offset + samples), mode="wrap")

    def _length(self, cut: Cut) -> int:
        if self._is_read_in_parts(cut):
            return int(cut.duration * SAMPLE_RATE + 1e-6)
        return len(self._whole(cut))

    def _is_read_in_parts(self, cut: Cut) -> bool:
        """Long files, and those for which the cache has no room and of which a part is exactly that part."""
        if cut.duration > WHOLE_FILE_SECONDS:
            return True
        return cut.id not in self._decoded and not self._has_room(cut) and _is_exact_in_parts(cut)

    def _has_room(self, cut: Cut) -> bool:
        size = 4 * SAMPLE_RATE * float(cut.duration)
        return self._held + size <= self.config.cache_mb * 2**20

    def _read_part(self, cut: Cut, offset: int, samples: int) -> Waveform:
        part = waveform.load(
            audio_of(cut),
            offset=cut.start + offset / SAMPLE_RATE,
            duration=samples / SAMPLE_RATE,
            allow_silent=True,
        )
        return np.resize(part, samples)

    def _whole(self, cut: Cut) -> Waveform:
        found = self._decoded.get(cut.id)
        if found is None:
            found = load_audio(cut, allow_silent=True)
            self._decoded[cut.id] = found
            self._held += found.nbytes
            self._forget()
        self._decoded.move_to_end(cut.id)
        return found

    def _forget(self) -> None:
        """Drop the files used longest ago until the cache fits; the newest always stays."""
        while self._held > self.config.cache_mb * 2**20 and len(self._decoded) > 1:
            self._held -= self._decoded.popitem(last=False)[1].nbytes


def _is_exact_in_parts(cut: Cut) -> bool:
    """Lossless and not resampled: the cache may then decide how it is read without changing a sample."""
    lossless = path_of(cut).lower().endswith((".flac", ".wav"))
    return lossless and cut.sample_rate == SAMPLE_RATE and cut.channels == 1


def _chosen(cuts: Iterable[Cut], config: NoiseConfig, quarantine: frozenset[str]) -> list[Cut]:
    cuts = list(cuts)
    known = {cut.id for cut in cuts}
    if len(known) < len(cuts):
        twice = next(cut.id for cut in cuts if sum(other.id == cut.id for other in cuts) > 1)
        raise DataError(f"noise ids must be unique, but '{twice}' occurs twice; drop one manifest")
    unknown = [name for name in [*(config.ids or []), *config.exclude] if name not in known]
    if unknown:
        raise DataError(f"`{config.manifest}` must hold the noise id '{unknown[0]}', but does not; check the id")
    kept = [cut for cut in cuts if _is_chosen(cut, config)]
    whole, kept = len(kept), without(kept, quarantine)
    if len(kept) < whole:
        log.warning("left out %d of %d noises of %s that are in quarantine", whole - len(kept), whole, config.manifest)
    hint = " or the quarantine list" if len(kept) < whole else ""
    missing = set(config.types or []) - {column(cut, "label") or "noise" for cut in kept}
    if missing:
        raise DataError(
            f"`types` must be in `{config.manifest}`, but {sorted(missing)} are not; check the labels{hint}"
        )
    if not kept:
        raise DataError(f"`{config.manifest}` must leave at least one noise, but has none; loosen the choice{hint}")
    return kept


def _is_chosen(cut: Cut, config: NoiseConfig) -> bool:
    return (
        (config.ids is None or cut.id in config.ids)
        and cut.id not in config.exclude
        and (config.types is None or (column(cut, "label") or "noise") in config.types)
    )
