"""What a task may need beside its configuration and its model."""

from collections.abc import Sequence
from dataclasses import dataclass

from noisewise.errors import ConfigError
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.text.tokenizer import Tokenizer
from noisewise.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TaskInputs:
    """What transcripts, labels and texts are written in."""

    tokenizer: Tokenizer
    """Tokens of transcripts."""
    labels: Sequence[str] = ()
    """Names of the classes, in the order of a tagger's logits."""
    vocabulary: Vocabulary | None = None
    """Words or characters of a language model."""
    pieces: WhisperTokenizer | None = None
    """Tokens of the decoder of Whisper."""

    def words(self) -> Vocabulary:
        """The vocabulary.

        Raises:
            ConfigError: there is none.
        """
        if self.vocabulary is None:
            raise ConfigError("`train.kind` must be text for a language model, but there is no vocabulary")
        return self.vocabulary

    def decoder_tokens(self) -> WhisperTokenizer:
        """The tokens of the decoder of Whisper.

        Raises:
            ConfigError: there are none.
        """
        if self.pieces is None:
            raise ConfigError(
                "`model.encoder.source` or `start_from` must name a Whisper with a tokenizer.json, but neither does; "
                "its decoder writes in these tokens"
            )
        return self.pieces
