"""A recipe: data, model, task, optimizer, schedule and run in one YAML file. `noisewise.run` runs it."""

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

FREE = (
    "steps",
    "log_every",
    "validate_every",
    "save_every",
    "keep",
    "release_at",
    "tensorboard",
    "threads",
    "loggers",
    "timeout_seconds",
)
"""Fields of `run` that may change when a run is resumed."""
AnyDataConfig = Annotated[
    Annotated[DataConfig, member(UNSAID)] | Annotated[TextConfig, member("text")], one_of("kind", UNSAID)
]
"""Recordings, or text with `kind: text`."""


@config
class Recipe:
    """All values of a run."""

    train: AnyDataConfig
    """Training set: recordings, or text (`kind: text`) for a language model."""
    validation: AnyDataConfig
    """Validation set, which chooses the best checkpoint; never the test set."""
    model: ModelConfig = CTCConfig()
    """Model that is trained."""
    tokenizer: TokenizerConfig = CharacterConfig()
    """Tokens of transcripts: letters, or subwords learned from the transcripts of `train`; `model.vocabulary` is their
    number, or null."""
    task: TaskConfig = CTCTaskConfig()
    """Task, which defines the loss and the validation."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer of the weights."""
    schedule: ScheduleConfig = TriStage()
    """Schedule of the learning rate."""
    run: RunConfig = RunConfig()
    """Length, precision, logging and checkpoints of the run."""
    test: DataConfig | None = None
    """Test set, on which the best model is evaluated once, when the run ends; the result is `test.json` in the run's
    folder."""
    papers_protocol: bool = False
    """Whether to train on `validation` too and to choose the best checkpoint on `test`, as papers on audio tagging do;
    it makes results comparable with theirs, and too good."""
    start_from: str | None = None
    """Model whose weights the run begins with: a model folder of noisewise (its encoder, or all of it if it is the same
    kind of model), or a checkpoint of transformers or fairseq, for instance hf:facebook/wav2vec2-base@REVISION (its
    quantizer and projections too, for wav2vec 2.0 and EW2)."""


def essence(recipe: Recipe) -> dict[str, Any]:
    """The plain values of a recipe that decide what its run computes: all but `FREE`."""
    values = dump(recipe)
    run = {name: value for name, value in values["run"].items() if name not in FREE}
    return {**values, "run": run}
