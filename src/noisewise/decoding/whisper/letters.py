"""Texts of Whisper judged by letters: ln P_ctc, and the times and confidences of words.

A text is spelled in the letters of the CTC head: its case and punctuation are left out, and words that have no spelling
there, such as 2014, are stars, any stretch of speech (`decoding.alignment`).

Legend: F frames, C letters, N texts.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from noisewise.decoding.alignment.align import joined_tokens, lay, spellings_of
from noisewise.decoding.alignment.viterbi import STAR
from noisewise.decoding.hypothesis import Word
from noisewise.decoding.whisper.config import Pieces
from noisewise.decoding.whisper.search import Said
from noisewise.errors import AlignmentError
from noisewise.text.tokenizer import Tokenizer


def ctc_scores(log_probs: Tensor, texts: Sequence[str], tokenizer: Tokenizer) -> list[float]:
    """ln P_ctc of each text, summed over its alignments; -inf of one that does not fit its frames.

    A star is as probable in a frame as the likeliest letter or blank there.

    Args:
        log_probs: natural logarithms of letter probabilities of one utterance. (F, C)
        texts: as they are written.
        tokenizer: of the letters.
    """
    star = log_probs.shape[1]
    spelled = [joined_tokens(spellings_of(text, tokenizer), tokenizer)[0] for text in texts]
    ids = [[star if token == STAR else token for token in tokens] for tokens in spelled]
    emissions = torch.cat((log_probs, log_probs.amax(dim=1, keepdim=True)), dim=1).double()  # (F, C + 1)
    lengths = torch.tensor([len(each) for each in ids])
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(each, dtype=torch.long) for each in ids], batch_first=True)
    losses = F.ctc_loss(
        emissions[:, None].expand(-1, len(texts), -1),
        padded,
        torch.full((len(texts),), len(emissions)),
        lengths,
        blank=tokenizer.blank,
        reduction="none",
    )
    return (-losses).tolist()


def words_by_letters(
    log_probs: Tensor, said: Said, pieces: Pieces, tokenizer: Tokenizer, frame_seconds: float
) -> list[Word]:
    """Words with the times of their best CTC path, as sure as their letters are in the mean.

    A word without a spelling is as sure as its least sure token. Where the text does not fit its frames, times and
    confidences are those of `words_by_length`.

    Args:
        log_probs: natural logarithms of letter probabilities of one utterance. (F, C)
        said: what the decoder has written.
        pieces: the tokenizer of Whisper.
        tokenizer: of the letters.
        frame_seconds: time between two frames.
    """
    without = words_by_length(said, pieces, len(log_probs) * frame_seconds)
    if not without:
        return []
    try:
        laid = lay(log_probs, spellings_of(text_of(said, pieces), tokenizer), tokenizer, frame_seconds).words
    except AlignmentError:
        return without
    if [word.text for word in laid] != [word.text for word in without]:
        return without  # a tag in angle brackets, which is no word to CTC
    return [
        replace(plain, start=word.start, end=word.end, confidence=_mean(word.characters) or plain.confidence)
        for word, plain in zip(laid, without, strict=True)
    ]


def words_by_length(said: Said, pieces: Pieces, seconds: float) -> list[Word]:
    """Words that share the time of their utterance by their letters, as sure as the least sure of their tokens.

    Args:
        said: what the decoder has written.
        pieces: the tokenizer of Whisper.
        seconds: duration of the utterance.
    """
    parts = [pieces.piece(token) for token in said.tokens]
    ends = [0, *accumulate(map(len, parts))]
    written, at, words = b"".join(parts), 0, list[tuple[str, float]]()
    for text in written.split():
        first = written.index(text, at)
        at = first + len(text)
        own = [
            probability
            for start, end, probability in zip(ends[:-1], ends[1:], said.log_probs[: len(parts)], strict=True)
            if start < at and end > first
        ]
        words.append((text.decode("utf-8", errors="replace"), math.exp(min(own))))
    spoken = [(text, confidence) for text, confidence in words if any(map(str.isalnum, text))]
    places = [0, *accumulate(len(text) + 1 for text, _ in spoken)]
    share = seconds / places[-1] if spoken else 0.0
    return [
        Word(text, start * share, (end - 1) * share, min(1.0, confidence))
        for (text, confidence), start, end in zip(spoken, places[:-1], places[1:], strict=True)
    ]


def text_of(said: Said, pieces: Pieces) -> str:
    """What was written, words joined by single spaces."""
    return " ".join(pieces.decode(said.tokens).split())


def _mean(letters: Sequence[Word]) -> float:
    return sum(letter.confidence for letter in letters) / max(1, len(letters))
