"""The weights of language models for a model of one's own, found on a development set and written into its folder.

from noisewise.tuning.model import TuningConfig, tune_model
tune_model(TuningConfig(model="runs/mine/best", manifest="dev", decoding=DecodingConfig(lm="lm.arpa.gz")))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any, Literal

from noisewise.checkpoints.model_folder import weights_hash
from noisewise.config import config
from noisewise.decoding import saved_config
from noisewise.decoding.config import DecodingConfig
from noisewise.errors import EvaluationError
from noisewise.evaluation.test_set import Speech
from noisewise.files import replaced_folder, sha256_of
from noisewise.inference.recogniser import Recogniser
from noisewise.tuning.attention import Weights, tune_attention
from noisewise.tuning.cache import TuningCache
from noisewise.tuning.ctc import WeightTrial, tune_ctc
from noisewise.tuning.posteriors import DevSetPosteriors, compute_posteriors, refuse_test_set
from noisewise.tuning.rescoring import tune_rescoring


@config
class TuningConfig:
    """What is tuned, and on what."""

    model: str
    """Folder of the model; `box` or a model of a hub only with `output`."""
    manifest: str
    """Development set with transcripts; never the set that will be tested on."""
    decoding: DecodingConfig
    """Configuration to begin with: its language models, lexicon and sizes stay, its weights are tuned."""
    noise: str | None = None
    """Manifest of noise with labels, other than that of the test; null for clean speech only."""
    snrs_db: list[float] = field(default_factory=lambda: [0.0, 5.0, 10.0, 15.0, 20.0])
    """Signal-to-noise ratios."""
    types: list[str] | None = None
    """Noise types; null for all in the manifest."""
    limit: int | None = None
    """Number of utterances, evenly spaced; null for all."""
    trials: int = 30
    """Pairs of weight and word insertion bonus that are tried for a search by CTC."""
    seed: int = 0
    """Seed of the noise and of the draws."""
    output: str | None = None
    """New folder for a copy of the model with its decoding; null to write into the folder of the model."""
    device: str = "cpu"
    """Device that the model runs on: cpu, cuda."""
    keep: str | None = None
    """Folder that keeps posteriors and trials, from which the next tuning goes on; null to keep nothing."""
    force: bool = False
    """Whether to tune on a split that is named test all the same."""


@dataclass(frozen=True)
class TuningStep:
    """A word error rate that tuning has found."""

    kind: Literal["greedy", "trial", "best", "rescoring"]
    """Greedy decoding, one trial, the best trial, or the best second pass."""
    wer: float
    """Word error rate on the development set."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Name of a weight to its value; empty for greedy decoding."""
    recordings: int = 0
    """Recordings that were decoded."""
    left_out: tuple[str, ...] = ()
    """Reason for each recording that could not be decoded."""


@dataclass(frozen=True)
class TuningResult:
    """What tuning has come to."""

    decoding: DecodingConfig
    """Configuration with the best weights."""
    wer: float
    """Its word error rate on the development set."""
    greedy_wer: float
    """Word error rate of greedy decoding."""
    written: Path | None
    """File that the configuration was written to; None where it is not better than greedy decoding."""
    rescoring_dropped: bool = False
    """Whether a second pass was tried and is no better than the first alone."""
    left_out: tuple[str, ...] = ()
    """Reason for each recording that could not be decoded and was left out."""


Progress = Callable[[TuningStep], None]


def tune_model(config: TuningConfig, progress: Progress = lambda step: None) -> TuningResult:
    """Find the weights of a model's decoding, and make it the default of the model, so that `transcribe` uses it.

    Args:
        config: model, development set and the decoding to begin with.
        progress: called with each word error rate that is found.

    Raises:
        EvaluationError: no language model to tune; a test set; a folder that must not be written to.
        NoisewiseError: a model, manifest or language model that cannot be used.
    """
    chosen = config.decoding
    if not config.force:
        refuse_test_set(config.manifest)
    if chosen.attention is not None and config.keep is not None:
        raise EvaluationError("`keep` must be left out where attention takes part, but is given; take it out")
    if chosen.attention is None and chosen.lm is None and chosen.rescoring is None:
        raise EvaluationError("`decoding` must have `lm` or `rescoring`, but has neither; name a language model")
    target = _target(config.model, config.output)
    recogniser = Recogniser.load(config.model, config.device, chosen)  # a language model that is broken is refused now
    if chosen.attention is not None:
        result = _tune_attention(config, recogniser, progress)
    else:
        result = _tune_ctc(config, recogniser, progress)
    if result.wer >= result.greedy_wer:
        return result
    return replace(result, written=_write(recogniser.folder, target, result.decoding))


def _tune_attention(config: TuningConfig, recogniser: Recogniser, progress: Progress) -> TuningResult:
    """The weights of a search that attention takes part in."""
    posteriors = _posteriors(config, recogniser)
    greedy = _greedy(posteriors, progress)

    def searched(weights: Weights, wer: float) -> None:
        progress(TuningStep("trial", wer, {name.replace("_", " "): value for name, value in vars(weights).items()}))

    found, wer = tune_attention(posteriors, config.decoding, recogniser.begin, seed=config.seed, progress=searched)
    return TuningResult(found, wer, greedy, None, left_out=tuple(posteriors.left_out))


def _tune_ctc(config: TuningConfig, recogniser: Recogniser, progress: Progress) -> TuningResult:
    """The weights of a search by CTC, then those of a second pass; the second is left out where it does not help."""
    cache = TuningCache(None if config.keep is None else Path(config.keep))
    about = _depends_on(config, recogniser)
    posteriors = cache.posteriors(about, recogniser.tokenizer, lambda: _posteriors(config, recogniser))
    greedy = _greedy(posteriors, progress)
    best, chosen, rescoring = greedy, config.decoding, config.decoding.rescoring
    if chosen.lm is not None:
        chosen = replace(chosen, rescoring=None)
        files = [sha256_of(Path(path)) for path in (chosen.lm, chosen.lexicon) if path is not None]
        kept = cache.trials({**about, "config": chosen.values(), "files": files, "trials": config.trials})

        def tried(trial: WeightTrial) -> None:
            kept.add(trial)
            progress(TuningStep("trial", trial.wer, {"weight": trial.lm_weight, "bonus": trial.bonus}))

        chosen, trials = tune_ctc(
            posteriors, chosen, trials=config.trials, seed=config.seed, progress=tried, done=kept.read()
        )
        best = min(trial.wer for trial in trials)
        progress(TuningStep("best", best, {"weight": chosen.lm_weight, "bonus": chosen.bonus}))
    dropped = False
    if rescoring is not None:
        second_pass, wer, _ = tune_rescoring(posteriors, replace(chosen, rescoring=rescoring))
        found = second_pass.rescoring or rescoring
        progress(TuningStep("rescoring", wer, {"weight": found.weight, "bonus": found.bonus}))
        dropped = wer >= best
        best, chosen = (best, replace(chosen, rescoring=None)) if dropped else (wer, second_pass)
    return TuningResult(chosen, best, greedy, None, dropped, tuple(posteriors.left_out))


def _posteriors(config: TuningConfig, recogniser: Recogniser) -> DevSetPosteriors:
    return compute_posteriors(
        recogniser,
        config.manifest,
        config.noise,
        config.snrs_db,
        types=config.types,
        seed=config.seed,
        limit=config.limit,
    )


def _greedy(posteriors: DevSetPosteriors, progress: Progress) -> float:
    """Word error rate of greedy decoding, reported."""
    wer = posteriors.wer(None)
    progress(TuningStep("greedy", wer, {}, len(posteriors.references), tuple(posteriors.left_out)))
    return wer


def _depends_on(config: TuningConfig, recogniser: Recogniser) -> dict[str, Any]:
    """What decides the posteriors; kept ones are found by it."""
    utterances = Speech.read(config.manifest, config.limit).utterances if config.keep else []
    return {
        "weights": weights_hash(recogniser.folder),
        "manifest": config.manifest,
        "spoken": [[one.id, one.text] for one in utterances],
        "noise": config.noise,
        "snr": config.snrs_db,
        "types": config.types,
        "seed": config.seed,
    }


def _target(model: str, output: str | None) -> Path | None:
    """Folder that does not exist yet, for a copy of the model; None for the folder of the model.

    Raises:
        EvaluationError: the model is not the user's own, or the folder is taken.
    """
    if output is None and (model == "box" or model.startswith("hf:")):
        raise EvaluationError(f"`{model}` must stay as it is, for others use it too; give --output FOLDER for a copy")
    if output is not None and Path(output).exists():
        raise EvaluationError(f"--output must be a new folder, but `{output}` is there already; choose another")
    return None if output is None else Path(output)


def _write(model: Path, target: Path | None, chosen: DecodingConfig) -> Path:
    """Put the decoding into the folder of the model, or into a copy of it."""
    if target is None:
        return saved_config.write(model, chosen)
    with replaced_folder(target) as temporary:
        copytree(model, temporary, dirs_exist_ok=True, ignore=ignore_patterns("__pycache__"))
        written = saved_config.write(temporary, chosen)
    return target / written.name
