"""Tasks: what is the loss, and what is validated. `TaskConfig` is the closed union of them."""

from collections.abc import Sequence
from typing import Annotated

from noisewise.config import one_of
from noisewise.errors import ConfigError
from noisewise.models import AnyModel
from noisewise.models.cat.objective import CATPretraining
from noisewise.models.cat.tagger import CATTagger
from noisewise.models.ctc import CTC
from noisewise.models.encoder_decoder import EncoderDecoder
from noisewise.models.lm import TransformerLM
from noisewise.models.wav2code.codebook_learning import CodebookLearning
from noisewise.models.wav2code.wav2code import Wav2Code
from noisewise.models.wav2vec2.pretraining import Wav2Vec2Pretraining
from noisewise.tasks.codebook import CodebookTask, CodebookTaskConfig
from noisewise.tasks.contrastive import ContrastiveTask, ContrastiveTaskConfig
from noisewise.tasks.ctc import CTCTask, CTCTaskConfig
from noisewise.tasks.joint import JointTask, JointTaskConfig
from noisewise.tasks.language_modelling import LanguageModellingTask, LanguageModellingTaskConfig
from noisewise.tasks.representation import RepresentationTask, RepresentationTaskConfig
from noisewise.tasks.tagging import TaggingTask, TaggingTaskConfig
from noisewise.tasks.wav2code import Wav2CodeTask, Wav2CodeTaskConfig
from noisewise.text.tokenizer import Tokenizer
from noisewise.text.vocabulary import Vocabulary
from noisewise.training.task import Task

TaskConfig = Annotated[
    CTCTaskConfig
    | ContrastiveTaskConfig
    | CodebookTaskConfig
    | Wav2CodeTaskConfig
    | JointTaskConfig
    | RepresentationTaskConfig
    | TaggingTaskConfig
    | LanguageModellingTaskConfig,
    one_of("kind"),
]


def build(
    config: CTCTaskConfig
    | ContrastiveTaskConfig
    | CodebookTaskConfig
    | Wav2CodeTaskConfig
    | JointTaskConfig
    | RepresentationTaskConfig
    | TaggingTaskConfig
    | LanguageModellingTaskConfig,
    model: AnyModel,
    tokenizer: Tokenizer,
    labels: Sequence[str] = (),
    vocabulary: Vocabulary | None = None,
) -> Task:
    """The task that a configuration describes, over a model.

    Args:
        config: its values.
        model: what learns.
        tokenizer: of transcripts, for tasks that need them.
        labels: names of the classes, for tasks that learn them.
        vocabulary: of a language model.

    Raises:
        ConfigError: the task is not one for this kind of model.
    """
    match config, model:
        case CTCTaskConfig(), CTC():
            return CTCTask(config, model, tokenizer)
        case ContrastiveTaskConfig(), Wav2Vec2Pretraining():
            return ContrastiveTask(config, model)
        case CodebookTaskConfig(), CodebookLearning():
            return CodebookTask(config, model)
        case Wav2CodeTaskConfig(), Wav2Code():
            return Wav2CodeTask(config, model, tokenizer)
        case JointTaskConfig(), EncoderDecoder():
            return JointTask(config, model, tokenizer)
        case RepresentationTaskConfig(), CATPretraining():
            return RepresentationTask(config, model)
        case TaggingTaskConfig(), CATTagger():
            return TaggingTask(config, model, labels)
        case LanguageModellingTaskConfig(), TransformerLM() if vocabulary is not None:
            return LanguageModellingTask(config, model, vocabulary)
    raise ConfigError(
        f"`task.kind` must suit the model, but is {config.kind} for a {type(model).__name__}; take ctc for ctc, "
        "contrastive for wav2vec2_pretraining and ew2, codebook for codebook_learning, wav2code for wav2code, "
        "joint for encoder_decoder, representation for cat_pretraining, tagging for cat_tagger, language_modelling "
        "for lm"
    )
