"""Weights of a language model from a development set whose posteriors are computed once and decoded many times.

    score(Y | X) = ln P_CTC(Y | X) + alpha ln P_LM(Y) + beta |Y|

alpha and beta are those with the fewest word errors over the development set, clean and in noise together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from noisewise.decoding.config import DecodingConfig
from noisewise.errors import EvaluationError
from noisewise.inference import language_model
from noisewise.tuning.posteriors import DevSetPosteriors

WEIGHTS, REPAID = (0.0, 1.5), (0.0, 8.0)
"""Ranges of alpha and of beta / alpha: beta repays what a word costs, and ln P_LM of a word is -1 to -8."""
OFF = (0.0, 0.0)
"""Weight and bonus of a search without the language model."""


@dataclass(frozen=True)
class WeightTrial:
    """One pair of weights that was tried."""

    lm_weight: float
    """Weight of the language model, alpha."""
    bonus: float
    """Word insertion bonus, beta."""
    wer: float
    """Word error rate on the development set."""


def tune_ctc(
    posteriors: DevSetPosteriors,
    config: DecodingConfig,
    *,
    trials: int = 30,
    seed: int = 0,
    progress: Callable[[WeightTrial], None] | None = None,
    done: Sequence[WeightTrial] = (),
) -> tuple[DecodingConfig, list[WeightTrial]]:
    """The configuration with the best weight and bonus, and all that was tried.

    The first try is the configuration as it is; half of the rest is drawn anywhere, the others ever nearer to the best.
    One more try is the search without the model, `OFF`; where no other is better, the configuration loses its model.

    Args:
        posteriors: the development set.
        config: with a language model; everything but its weight and bonus stays.
        trials: tries beside that one.
        seed: of the draws.
        progress: called after each that is new.
        done: the first tries of the same tuning, if it was interrupted.

    Raises:
        EvaluationError: there is no language model, or no try.
    """
    if not config.lm or trials < 1:
        raise EvaluationError(
            f"`trials` must be at least 1 and there must be a language model, but are {trials}, {config.lm}"
        )
    model = language_model.load(config.lm, config.lm_backend) if config.lm_backend != "flashlight" else None
    random, tried = np.random.Generator(np.random.Philox(seed)), list[WeightTrial]()
    for number in range(trials + 1):
        if number == 0:
            weight, bonus = config.lm_weight, config.bonus
        elif number < trials:
            weight, bonus = _draw(random, tried, number / trials)
        elif any((one.lm_weight, one.bonus) == OFF for one in tried):
            break
        else:
            weight, bonus = OFF
        if number < len(done) and (done[number].lm_weight, done[number].bonus) == (weight, bonus):
            tried.append(done[number])
            continue
        wer = posteriors.wer(replace(config, lm_weight=weight, bonus=bonus), model)
        tried.append(WeightTrial(weight, bonus, wer))
        if progress is not None:
            progress(tried[-1])
    found = _best(tried)
    best = replace(config, lm_weight=found.lm_weight, bonus=found.bonus)
    return (replace(best, lm=None, look_ahead=False) if (best.lm_weight, best.bonus) == OFF else best), tried


def _best(tried: list[WeightTrial]) -> WeightTrial:
    """The fewest errors; among equals the smallest weight, which leans least on the text."""
    return min(tried, key=lambda trial: (trial.wer, trial.lm_weight, abs(trial.bonus)))


def _draw(random: np.random.Generator, tried: list[WeightTrial], done: float) -> tuple[float, float]:
    """A weight and a bonus, to two decimals."""
    if done < 0.5:
        weight, repaid = random.uniform(*WEIGHTS), random.uniform(*REPAID)
    else:
        around, width = _best(tried), 0.25 * (1.0 - done)
        weight = around.lm_weight + width * (WEIGHTS[1] - WEIGHTS[0]) * random.standard_normal()
        repaid = around.bonus / max(around.lm_weight, 0.01) + width * (REPAID[1] - REPAID[0]) * random.standard_normal()
    weight = float(np.clip(weight, *WEIGHTS))
    return round(weight, 2), round(weight * float(np.clip(repaid, *REPAID)), 2)
