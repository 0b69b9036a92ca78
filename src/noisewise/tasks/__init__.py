"""Tasks: what is the loss, and what is validated. `TaskConfig` is the closed union of them."""

from noisewise.models import Model
from noisewise.tasks.ctc import CTCTask, CTCTaskConfig
from noisewise.text.tokenizer import CharacterTokenizer

TaskConfig = CTCTaskConfig
Task = CTCTask


def build(config: TaskConfig, model: Model, tokenizer: CharacterTokenizer) -> Task:
    """The task that a configuration describes, over a model."""
    match config:
        case CTCTaskConfig():
            return CTCTask(config, model, tokenizer)
