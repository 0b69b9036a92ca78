"""What a task is given: a language model needs a vocabulary."""

import pytest

from noisewise.errors import ConfigError
from noisewise.tasks.inputs import TaskInputs
from noisewise.text.tokenizer import CharacterTokenizer


def test_a_language_model_without_a_vocabulary_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`train\.kind` must be text"):
        TaskInputs(CharacterTokenizer()).words()
