"""Transcripts and tags in the formats of OpenAI's API, with confidences beside what these ask for."""

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from noisewise.decoding.alignment.align import AlignedWord
from noisewise.decoding.hypothesis import Word
from noisewise.inference.subtitles import PAUSE
from noisewise.inference.tags import Tags, rounded
from noisewise.inference.transcript import Transcript, overall_confidence
from noisewise.serving.api_error import ApiError
from noisewise.serving.transcription_request import TranscriptionRequest
from noisewise.text.tokenizer import Tokenizer

SEGMENT_SECONDS = 30.0
"""Longest segment of verbose_json."""
LANGUAGES = {
    "ar": "arabic",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "hi": "hindi",
    "it": "italian",
    "ja": "japanese",
    "ko": "korean",
    "nl": "dutch",
    "pl": "polish",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
    "uk": "ukrainian",
    "zh": "chinese",
}
"""Names of languages, as verbose_json spells them; others appear by their code."""
MEDIA = {"srt": "application/x-subrip", "vtt": "text/vtt", "text": "text/plain"}
LEAST = 1e-10
"""Least probability whose logarithm is written."""


def body(
    transcript: Transcript, asked: TranscriptionRequest, language: str, tokenizer: Tokenizer | None
) -> dict[str, Any] | str:
    """The answer to a request: an object for the formats of JSON, a text for the others.

    Args:
        transcript: of the recording.
        asked: the request.
        language: code of the language.
        tokenizer: of the model, for the tokens of segments.
    """
    form = asked.response_format
    if form == "text":
        return f"{transcript.to_text()}\n"
    if form == "srt":
        return transcript.to_srt()
    if form == "vtt":
        return transcript.to_vtt()
    usage = {"type": "duration", "seconds": round(transcript.duration, 3)}
    if form == "json":
        return {"text": transcript.text, **_logprobs(transcript, asked), "usage": usage}
    found: dict[str, Any] = {
        "task": "transcribe",
        "language": LANGUAGES.get(language, language),
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "confidence": round(transcript.confidence, 4),
    }
    if "word" in asked.granularities:
        found["words"] = [_word(word) for word in transcript.words]
    if "segment" in asked.granularities:
        found["segments"] = segments(transcript, tokenizer)
    return found | {"usage": usage}


def segments(transcript: Transcript, tokenizer: Tokenizer | None = None) -> list[dict[str, Any]]:
    """Stretches of speech between pauses, with the ten keys of OpenAI's segments and a confidence.

    `avg_logprob` is the mean over the words of the natural logarithm of their confidence. `no_speech_prob` is 0:
    stretches in which the model finds no speech are no part of a transcript.
    """
    groups = [list(group) for group in _groups(transcript.words)]
    if not groups and transcript.text:  # of a system that gives no times
        return [_segment(0, transcript.text, [Word("", 0.0, transcript.duration, 1.0)], tokenizer)]
    return [
        _segment(number, " ".join(word.text for word in group), group, tokenizer) for number, group in enumerate(groups)
    ]


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and (word.start - group[-1].end > PAUSE or word.end - group[0].start > SEGMENT_SECONDS):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _segment(number: int, text: str, words: Sequence[Word], tokenizer: Tokenizer | None) -> dict[str, Any]:
    encoded = text.encode()
    return {
        "id": number,
        "seek": round(words[0].start * 100),
        "start": round(words[0].start, 3),
        "end": round(words[-1].end, 3),
        "text": text,
        "tokens": [] if tokenizer is None else tokenizer.encode(text),
        "temperature": 0.0,
        "avg_logprob": round(sum(_log(word.confidence) for word in words) / len(words), 4),
        "compression_ratio": round(len(encoded) / len(zlib.compress(encoded)), 4),
        "no_speech_prob": 0.0,
        "confidence": round(overall_confidence(words), 4),
    }


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 4),
    }


def logprobs(words: Sequence[Word], is_continued: bool = False) -> list[dict[str, Any]]:
    """Letters with the natural logarithms of their probabilities; they join to the text, spaces before words.

    Args:
        words: perhaps with their letters.
        is_continued: whether a space stands before the first word.

    Example:
        >>> go = AlignedWord("GO", 0.0, 0.2, 0.5, [Word("G", 0.0, 0.1, 1.0), Word("O", 0.1, 0.2, 0.5)])
        >>> [each["token"] for each in logprobs([go, go])], logprobs([go])[1]["logprob"]
        (['G', 'O', ' G', 'O'], -0.6931)
    """
    found = []
    for number, word in enumerate(words):
        letters = (word.characters if isinstance(word, AlignedWord) else []) or [word]
        for place, letter in enumerate(letters):
            token = f" {letter.text}" if not place and (number or is_continued) else letter.text
            found.append({"token": token, "bytes": list(token.encode()), "logprob": round(_log(letter.confidence), 4)})
    return found


def _logprobs(transcript: Transcript, asked: TranscriptionRequest) -> dict[str, Any]:
    return {"logprobs": logprobs(transcript.words)} if asked.logprobs else {}


def _log(probability: float) -> float:
    return math.log(max(probability, LEAST))


def deltas(transcript: Transcript, asked: TranscriptionRequest) -> Iterator[str]:
    """Server-sent events of a transcript that is final: one delta for each stretch of speech, `done`, `[DONE]`.

    The deltas join to the text.
    """
    for text, words in spoken_parts(transcript):
        more: dict[str, Any] = {"logprobs": logprobs(words, text.startswith(" "))} if asked.logprobs else {}
        yield event({"type": "transcript.text.delta", "delta": text, **more})
    yield event({"type": "transcript.text.done", "text": transcript.text, **_logprobs(transcript, asked)})
    yield "data: [DONE]\n\n"


def spoken_parts(transcript: Transcript) -> list[tuple[str, list[Word]]]:
    """Text and words of each stretch of speech; the texts join to that of the transcript."""
    groups = list(_groups(transcript.words))
    texts = [" " * (number > 0) + " ".join(word.text for word in group) for number, group in enumerate(groups)]
    if "".join(texts) == transcript.text:
        return list(zip(texts, groups, strict=True))
    return [(transcript.text, list(transcript.words))]  # of a system whose words do not join to its text


def event(values: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(values, ensure_ascii=False)}\n\n"


def failure(error: ApiError) -> str:
    """The event of a stream that cannot go on."""
    return event({"error": error.values})


def tags_body(model: str, tags: Tags, top: int, threshold: float) -> dict[str, Any]:
    """The labels of a recording and of its windows."""
    found: Any = rounded(asdict(tags.sounds(top, threshold)))
    return {"object": "audio.tags", "model": model, "duration": round(tags.duration, 3), **found}
