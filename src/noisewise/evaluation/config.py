"""What is measured: the test set, the conditions, the seed and the bootstrap, as one configuration."""

from dataclasses import field, replace

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

    def __post_init__(self) -> None:
        if self.noise is not None and self.levels:
            raise ConfigError(
                "`noise` and `levels` must be measured one after the other, but are both given; take one of them out"
            )

    @property
    def columns(self) -> list[str]:
        """Columns of the manifest that are read with each item: those of subgroups and of blocks."""
        block = [] if self.bootstrap_unit in ("auto", "utterance", "speaker", "hierarchical") else [self.bootstrap_unit]
        return list(dict.fromkeys([*self.subgroups, *block]))

    def portable(self) -> "GridConfig":
        """The same without absolute paths of this machine, as results store it."""
        return replace(
            self, manifest=portable(self.manifest), noise=None if self.noise is None else portable(self.noise)
        )

    def options(self) -> list[str]:
        """Options of `noisewise evaluate` beside the manifest; those that change nothing are left out."""
        words = []
        if self.noise is not None:
            words += ["--noise", self.noise, "--snr", *(f"{snr:g}" for snr in self.snrs_db)]
        for name, chosen in self.levels.items():
            words += ["--degrade", f"{name}={','.join(f'{level:g}' for level in chosen)}"]
        words += ["--types", ",".join(self.types)] if self.types else []
        words += ["--seed", str(self.seed)]
        words += ["--limit", str(self.limit)] if self.limit is not None else []
        words += ["--bootstrap", self.bootstrap_unit] if self.bootstrap_unit != "auto" else []
        words += ["--bootstrap-samples", str(self.bootstrap_samples)] if self.bootstrap_samples != 1000 else []
        words += ["--subgroups", ",".join(self.subgroups)] if self.subgroups else []
        words += ["--normaliser", self.normaliser] if self.normaliser != "english" else []
        return words + (["--label-column", self.label_column] if self.label_column != "label" else [])
