"""Tasks: what is the loss, and what is validated. `TaskConfig` is the closed union of them.

A new task is one file with its configuration, which names the models it suits and builds it, and its class; and one
member of the union below.
"""

import typing
from collections.abc import Sequence
from typing import Annotated, Any

from noisewise.config import one_of
from noisewise.errors import ConfigError
from noisewise.models import AnyModel, ModelUnion, model_type
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.tasks.codebook import CodebookTaskConfig
from noisewise.tasks.contrastive import ContrastiveTaskConfig
from noisewise.tasks.ctc import CTCTaskConfig
from noisewise.tasks.inputs import TaskInputs
from noisewise.tasks.joint import JointTaskConfig
from noisewise.tasks.language_modelling import LanguageModellingTaskConfig
from noisewise.tasks.representation import RepresentationTaskConfig
from noisewise.tasks.tagging import TaggingTaskConfig
from noisewise.tasks.wav2code import Wav2CodeTaskConfig
from noisewise.tasks.whisper import WhisperTaskConfig
from noisewise.text.tokenizer import Tokenizer
from noisewise.text.vocabulary import Vocabulary
from noisewise.training.task import Task

TaskUnion = (
    CTCTaskConfig
    | ContrastiveTaskConfig
    | CodebookTaskConfig
    | Wav2CodeTaskConfig
    | JointTaskConfig
    | RepresentationTaskConfig
    | TaggingTaskConfig
    | LanguageModellingTaskConfig
    | WhisperTaskConfig
)
TaskConfig = Annotated[TaskUnion, one_of("kind")]


def build(
    config: TaskUnion,
    model: AnyModel,
    tokenizer: Tokenizer,
    labels: Sequence[str] = (),
    vocabulary: Vocabulary | None = None,
    pieces: WhisperTokenizer | None = None,
) -> Task:
    """The task that a configuration describes, over a model.

    Args:
        config: its values.
        model: what learns.
        tokenizer: of transcripts, for tasks that need them.
        labels: names of the classes, for tasks that learn them.
        vocabulary: of a language model.
        pieces: tokens of the decoder of Whisper.

    Raises:
        ConfigError: the task is not one for this kind of model.
    """
    if not isinstance(model, config.model_types):
        kinds = {task.kind: " and ".join(suited(task)) for task in typing.get_args(TaskUnion)}
        takes = ", ".join(f"{task} for {models}" for task, models in kinds.items())
        raise ConfigError(
            f"`task.kind` must suit the model, but is {config.kind} for a {type(model).__name__}; take {takes}"
        )
    suiting: Any = model
    return config.build(suiting, TaskInputs(tokenizer, labels, vocabulary, pieces))


def suited(task: Any) -> list[str]:
    """Kinds of the models that a task's configuration class names."""
    members: Sequence[Any] = typing.get_args(ModelUnion)
    return [member.kind for member in members if issubclass(model_type(member), task.model_types)]
