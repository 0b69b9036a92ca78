"""A small Whisper tokenizer for tests: all bytes, pairs learned from a few sentences, tokens that steer."""

from functools import cache
from typing import Any

from noisewise.models.whisper.tokenizer import WhisperTokenizer

SENTENCES = (
    "Hello, world. It's half past 12, isn't it? The cat sat on the mat.",
    "She said that they'd go; we'll see... naïve café, 你好 and Ωmega 3½!",
    "One two three four five six seven eight nine ten. Go home, please.",
)
STEERING = ("<|transcribe|>", "<|translate|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")


@cache
def values(multilingual: bool = False) -> Any:
    """What its `tokenizer.json` holds."""
    import json

    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    languages = ("<|en|>", "<|de|>", "<|fr|>") if multilingual else ()
    names = ("<|endoftext|>", "<|startoftranscript|>", *languages, *STEERING)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    return json.loads(tokenizer.to_str())


def tokenizer(multilingual: bool = False) -> WhisperTokenizer:
    """The tokenizer; 339 tokens of English alone, 342 of three languages."""
    return WhisperTokenizer(values(multilingual))
