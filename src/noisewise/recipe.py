"""A recipe: data, model, task, optimizer, schedule and run in one YAML file; and how it becomes a run."""

from typing import Annotated, Any

from noisewise.config import UNSAID, config, dump, member, one_of
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.loading.text import TextConfig
from noisewise.models import ModelConfig
from noisewise.models.ctc import CTCConfig
from noisewise.tasks import TaskConfig
from noisewise.tasks.ctc import CTCTaskConfig
from noisewise.text.subword import CharacterConfig, TokenizerConfig
from noisewise.training.loop import RunConfig
from noisewise.training.optimizer import OptimizerConfig
from noisewise.training.schedule import ScheduleConfig, TriStage

FREE = ("steps", "log_every", "validate_every", "save_every", "keep", "release_at", "tensorboard", "threads")
"""Fields of `run` that may change when a run goes on."""
AnyDataConfig = Annotated[
    Annotated[DataConfig, member(UNSAID)] | Annotated[TextConfig, member("text")], one_of("kind", UNSAID)
]
"""Recordings, or text with `kind: text`."""


@config
class Recipe:
    """Everything that a run is made of."""

    train: AnyDataConfig
    """What is learned from: recordings, or text (`kind: text`) for a language model."""
    validation: AnyDataConfig
    """What chooses the best checkpoint; never the test set."""
    model: ModelConfig = CTCConfig()
    """What learns."""
    tokenizer: TokenizerConfig = CharacterConfig()
    """What transcripts are written in: letters, or subwords learned from those of `train`; `model.vocabulary` is their
    number."""
    task: TaskConfig = CTCTaskConfig()
    """What the loss is."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """How gradients become steps."""
    schedule: ScheduleConfig = TriStage()
    """How the learning rate moves."""
    run: RunConfig = RunConfig()
    """How long, how fast, how safe."""
    test: DataConfig | None = None
    """What the best model is measured on, once, when the run ends; the result is `test.json` in the run's folder."""
    papers_protocol: bool = False
    """Whether to learn from `validation` too and to choose the best checkpoint on `test`, as papers on audio tagging
    do; it makes numbers comparable with theirs, and too good."""
    start_from: str | None = None
    """A model folder of ours, whose encoder the run begins with (all of it, if it is the same kind of model), or a
    checkpoint of transformers or fairseq, for instance hf:facebook/wav2vec2-base@REVISION (its quantizer and
    projections too, for wav2vec 2.0 and EW2)."""


def essence(recipe: Recipe) -> dict[str, Any]:
    """The values that decide what a run computes."""
    values = dump(recipe)
    run = {name: value for name, value in values["run"].items() if name not in FREE}
    return {**values, "run": run}
