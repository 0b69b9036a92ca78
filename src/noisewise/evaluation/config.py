"""What is measured: the test set, the conditions, the seed and the bootstrap, as one configuration."""

from dataclasses import field, replace
from typing import Literal

from noisewise.config import config
from noisewise.errors import ConfigError
from noisewise.evaluation.provenance import portable
from noisewise.scoring.words import NormaliserName

SNRS_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
"""Signal-to-noise ratios of a noise grid, in dB."""


@config
class GridConfig:
    """Test set and conditions of an evaluation.

    Example:
        >>> GridConfig(manifest="corpora/an4#split=test", noise="noise", snrs_db=[0, 10]).options()
        ['--noise', 'noise', '--snr', '0', '10', '--seed', '0']
    """

    manifest: str
    """Speech with texts, or clips with labels: a manifest, a table or its folder; `#split=test` keeps a split."""
    noise: str | None = None
    """Manifest of noise with a `label` column, which names the noise type; null for none."""
    types: list[str] = field(default_factory=list)
    """Noise types; empty for all in the manifest of noise."""
    snrs_db: list[float] = field(default_factory=lambda: list(SNRS_DB))
    """Signal-to-noise ratios in dB."""
    levels: dict[str, list[float]] = field(default_factory=dict)
    """Degradations to their levels, instead of noise; see `noisewise.evaluation.degradations.parse_levels`."""
    suite: Literal["", "srb", "srb-lite"] = ""
    """Suite of corruptions, instead of a grid of noise: `srb` (Speech Robust Bench, with recordings from `noise` and
    `rir`) or `srb-lite` (without any recordings); empty for none."""
    rir: str | None = None
    """Manifest of impulse responses, for the suite `srb`; null for none."""
    label_column: str = "label"
    """Column of the manifest with the labels of clips, for a tagger."""
    seed: int = 0
    """Seed of the mixtures and of the bootstrap resamples."""
    limit: int | None = None
    """Number of utterances or clips, evenly spaced over the manifest; null for all."""
    bootstrap_unit: str = "auto"
    """What the confidence intervals resample: `utterance` (clips), `speaker` (what clips were cut from), `hierarchical`
    (speakers, then utterances of each), a column of the manifest, or `auto`: speakers where ten or more are named, else
    utterances."""
    bootstrap_samples: int = 1000
    """Number of bootstrap resamples."""
    normaliser: NormaliserName = "english"
    """Form in which references and hypotheses are compared; see `noisewise.text.normalise`."""
    subgroups: list[str] = field(default_factory=list)
    """Columns of the manifest, such as gender, for whose values error rates are given apart."""

    nll: bool = False
    """Whether the negative log-likelihood of the references is kept, of the project's own models."""
    speech_free: str | None = None
    """Manifest of noise without speech, on which the words that a recogniser invents are counted; null for none."""

    def __post_init__(self) -> None:
        if self.noise is not None and self.levels:
            raise ConfigError(
                "`noise` and `levels` must be measured one after the other, but are both given; take one of them out"
            )
        if self.suite and self.levels:
            raise ConfigError("`suite` must come without `levels`, but both are given; take one of them out")
        if (self.suite == "srb-lite" and self.noise is not None) or (self.suite != "srb" and self.rir is not None):
            raise ConfigError("recordings of noise and rooms must come with the suite `srb`, but come without it")

    @property
    def columns(self) -> list[str]:
        """Columns of the manifest that are read with each item: those of subgroups and of blocks."""
        block = [] if self.bootstrap_unit in ("auto", "utterance", "speaker", "hierarchical") else [self.bootstrap_unit]
        return list(dict.fromkeys([*self.subgroups, *block]))

    def portable(self) -> "GridConfig":
        """The same without absolute paths of this machine, as results store it."""
        noise, free, rir = (
            None if path is None else portable(path) for path in (self.noise, self.speech_free, self.rir)
        )
        return replace(self, manifest=portable(self.manifest), noise=noise, speech_free=free, rir=rir)

    def options(self) -> list[str]:
        """Options of `noisewise evaluate` beside the manifest; those that change nothing are left out."""
        words = []
        if self.noise is not None:
            words += ["--noise", self.noise]
            words += [] if self.suite else ["--snr", *(f"{snr:g}" for snr in self.snrs_db)]
        words += ["--suite", self.suite] if self.suite else []
        words += ["--rir", self.rir] if self.rir is not None else []
        for name, chosen in self.levels.items():
            words += ["--degrade", f"{name}={','.join(f'{level:g}' for level in chosen)}"]
        words += ["--types", ",".join(self.types)] if self.types else []
        words += ["--seed", str(self.seed)]
        words += ["--limit", str(self.limit)] if self.limit is not None else []
        words += ["--bootstrap", self.bootstrap_unit] if self.bootstrap_unit != "auto" else []
        words += ["--bootstrap-samples", str(self.bootstrap_samples)] if self.bootstrap_samples != 1000 else []
        words += ["--speech-free", self.speech_free] if self.speech_free is not None else []
        words += ["--nll"] if self.nll else []
        words += ["--subgroups", ",".join(self.subgroups)] if self.subgroups else []
        words += ["--normaliser", self.normaliser] if self.normaliser != "english" else []
        return words + (["--label-column", self.label_column] if self.label_column != "label" else [])
