"""`hf:FOLDER` and `hf:ORGANISATION/NAME@REVISION`: speech recognition models of transformers (extra `hf`).

The class that config.json names decides how a model decodes:

    CTC (wav2vec 2.0, HuBERT, WavLM, Parakeet, ...)     the best token of each frame
    transducers (Parakeet TDT and RNN-T, ...)           `generate`, greedy
    sequence to sequence (Whisper, Moonshine, ...)      `generate`, greedy or a beam search, without sampling
    models that follow instructions (Granite, ...)      the same, after the processor's request for a transcript

Options are those of `specification.HuggingFaceOptions`. The model is called with arrays, one utterance at a time: no
padding by company, which changes the output of some models, and no torchaudio. Only safetensors weights and code of
transformers itself are loaded. A folder is read offline; a hub id is looked up on the hub, or in its local cache when
HF_HUB_OFFLINE=1.

Legend: T samples, F frames, L tokens.
"""

import hashlib
import inspect
import json
import math
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoFeatureExtractor, AutoProcessor, AutoTokenizer
from transformers.models.auto import modeling_auto, processing_auto

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.config import dump
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import NamedRecogniser, Timed, Waveform, in_parts
from noisewise.evaluation.systems.specification import HuggingFaceOptions, Specification
from noisewise.files import sha256_of

HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+|[\w.-]+)(@(?P<revision>[\w./-]+))?")
AUTO = {
    "CTC": "CTC",
    "TDT": "transducer",
    "RNNT": "transducer",
    "SPEECH_SEQ_2_SEQ": "sequence",
    "MULTIMODAL_LM": "sequence",
}
"""Tables of classes of transformers to how their models decode; the first that holds the class counts."""
CLASSES = {
    "CTC": "AutoModelForCTC",
    "TDT": "AutoModelForTDT",
    "RNNT": "AutoModelForRNNT",
    "SPEECH_SEQ_2_SEQ": "AutoModelForSpeechSeq2Seq",
    "MULTIMODAL_LM": "AutoModelForMultimodalLM",
}
"""Tables to the class of transformers that loads what they hold."""
MOONSHINE_TOKENS = 6.5
"""Most tokens a second of Moonshine, as its page in transformers' documentation asks for: it repeats itself beyond."""
REQUEST = "transcribe the speech with proper punctuation and capitalization."
"""What Granite is asked to do, where nothing else is said; from its page in transformers' documentation."""

_EXTRACTORS: Any = AutoFeatureExtractor  # its methods, and those of the others, have no types
_PROCESSORS: Any = AutoProcessor
_LOGGING: Any = transformers.logging


@dataclass(frozen=True)
class _Model:
    """A model with what goes before and behind it."""

    model: Any
    processor: Any
    """What makes inputs of waveforms: the feature extractor, or the whole processor where the model reads a request."""
    tokenizer: Any
    device: str
    options: HuggingFaceOptions
    lock: threading.Lock = field(default_factory=threading.Lock)

    def inputs(self, waveform: Waveform, **more: Any) -> Any:
        """Inputs of the model for one utterance (T,), on its device and in its number format."""
        found = self.processor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt", **more)
        return self.moved(found)

    def moved(self, inputs: Any) -> dict[str, Any]:
        """Inputs on the device of the model, numbers in its format."""
        moved = {name: each.to(self.device) for name, each in inputs.items() if isinstance(each, torch.Tensor)}
        return {name: each.to(self.model.dtype) if each.is_floating_point() else each for name, each in moved.items()}

    def text(self, ids: Any, **more: Any) -> str:
        """The text of tokens (L,)."""
        return " ".join(str(self.tokenizer.decode(ids, **more)).split())


def recogniser(specification: Specification, *, workers: int, device: str) -> NamedRecogniser:
    """A model of transformers as a recogniser.

    Args:
        specification: its target is a folder, or a hub id, with `@revision` to pin it.
        workers: utterances at the same time, each in a thread.
        device: where the model runs.

    Raises:
        RecogniserError: there is no such model, it recognises no speech, or its weights are not safetensors.
    """
    options: HuggingFaceOptions = specification.options
    if options.threads:
        torch.set_num_threads(options.threads)
    source, arguments = _source(specification.target)
    decode, model = _loaded(specification, source, arguments, device)

    @torch.inference_mode()
    def timed(waveform: Waveform) -> Timed:
        found = in_parts(waveform, options.window, lambda part: Timed(decode(part)))
        assert isinstance(found, Timed)
        return found

    def all_timed(waveforms: list[Waveform]) -> list[Timed]:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(timed, waveforms))

    return NamedRecogniser(
        specification.whole,
        lambda waveforms: [each.text for each in all_timed(waveforms)],
        _details(source, model, options),
        times="segments",
        with_times=all_timed,
    )


def _source(target: str) -> tuple[str, dict[str, Any]]:
    """What `from_pretrained` takes: a folder, to be read offline, or a hub id and its revision."""
    folder = Path(target).expanduser()
    if target and folder.is_dir():
        return str(folder), {"local_files_only": True, "trust_remote_code": False}
    found = HUB_ID.fullmatch(target)
    if found is None:
        raise RecogniserError(
            f"`hf:{target}` must be a folder or the id of a model on the hub, such as facebook/wav2vec2-base-960h, "
            "but is neither"
        )
    return found["name"], {"revision": found["revision"] or "main", "trust_remote_code": False}


def _loaded(
    specification: Specification, source: str, arguments: dict[str, Any], device: str
) -> tuple[Callable[[Waveform], str], Any]:
    """A function from one part of a recording (T,) to its text, and the model behind it."""
    name, options = specification.whole, specification.options
    _LOGGING.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(source, **arguments)
        table = _table(config, name)
        model, loaded = getattr(transformers, CLASSES[table]).from_pretrained(
            source,
            use_safetensors=True,
            output_loading_info=True,
            dtype=getattr(torch, options.quantisation),
            **arguments,
        )
        if absent := [each for each in loaded["missing_keys"] if "head" in each or table != "CTC"]:
            raise RecogniserError(f"`{name}` must have a trained head, but lacks {' and '.join(sorted(absent)[:3])}")
        model.to(device).eval()
        wrapped = _processed(source, arguments, model, device, options)
    except RecogniserError:
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RecogniserError(f"`{name}` must be a model of transformers, but cannot be loaded: {reason}") from error
    _must_take_16_khz(wrapped.processor, name)
    return _decoder(AUTO[table], wrapped, name), model


def _table(config: Any, specification: str) -> str:
    """The table of transformers that holds the class of a model."""
    names = getattr(config, "architectures", None) or []
    for table in CLASSES:
        known = getattr(modeling_auto, f"MODEL_FOR_{table}_MAPPING_NAMES", {})
        of_type = known.get(config.model_type)
        if of_type is not None and hasattr(transformers, CLASSES[table]) and of_type in names:
            return table
    raise RecogniserError(
        f"`{specification}` must be a speech recognition model of transformers {transformers.__version__} (CTC, "
        f"transducer or sequence to sequence), but is {' '.join(names) or config.model_type} instead; serve it and use "
        "openai:URL, or write a function and use python:module:function"
    )


def _processed(source: str, arguments: dict[str, Any], model: Any, device: str, options: HuggingFaceOptions) -> _Model:
    """A model with its tokenizer, and with the processor where it is one that writes requests."""
    with_request = _processor_class(model)
    if with_request is not None:
        processor = _PROCESSORS.from_pretrained(source, **arguments)
        return _Model(model, processor, processor.tokenizer, device, options)
    extractor = _EXTRACTORS.from_pretrained(source, **arguments)
    return _Model(model, extractor, AutoTokenizer.from_pretrained(source, **arguments), device, options)


def _processor_class(model: Any) -> Any:
    """The class of a model's processor where it reads a request beside the audio; None where audio is all."""
    names: Any = getattr(processing_auto, "PROCESSOR_MAPPING_NAMES", {})
    found = getattr(transformers, str(names.get(model.config.model_type)), None)
    return found if hasattr(found, "apply_transcription_request") or _is_granite(model) else None


def _is_granite(model: Any) -> bool:
    return str(model.config.model_type).startswith("granite_speech") and hasattr(model, "generate")


def _must_take_16_khz(processor: Any, specification: str) -> None:
    inner = getattr(processor, "feature_extractor", None) or getattr(processor, "audio_processor", None) or processor
    rate = getattr(inner, "sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise RecogniserError(f"`{specification}` must take 16 kHz, but takes {rate} Hz instead")


def _decoder(kind: str, wrapped: _Model, specification: str) -> Callable[[Waveform], str]:
    """A function from one part of a recording (T,) to its text."""
    if kind == "CTC":
        return lambda waveform: _best_tokens(wrapped, waveform)
    if kind == "transducer":
        return lambda waveform: _emitted(wrapped, waveform)
    if hasattr(wrapped.processor, "apply_transcription_request"):
        return lambda waveform: _requested(wrapped, waveform)
    if _is_granite(wrapped.model):
        return lambda waveform: _instructed(wrapped, waveform)
    language = _language(wrapped, specification)
    return lambda waveform: _written(wrapped, waveform, language)


def _best_tokens(wrapped: _Model, waveform: Waveform) -> str:
    """The best token of each frame, without repetitions and blanks. (T,)"""
    logits = wrapped.model(**wrapped.inputs(waveform)).logits[0]  # (F, V)
    return str(wrapped.tokenizer.decode(logits.argmax(dim=-1).tolist()))


def _emitted(wrapped: _Model, waveform: Waveform) -> str:
    """Tokens of a transducer: each is emitted once, so that repetitions stay. (T,)"""
    inputs = wrapped.inputs(waveform)
    with wrapped.lock:  # these models keep the state of `generate` in themselves
        found = wrapped.model.generate(**inputs, return_dict_in_generate=True)
    return wrapped.text(found.sequences[0], skip_special_tokens=True, group_tokens=False)


def _written(wrapped: _Model, waveform: Waveform, language: dict[str, Any]) -> str:
    """Tokens of a sequence-to-sequence model that is given audio alone. (T,)"""
    is_whisper = wrapped.model.config.model_type == "whisper"
    inputs = wrapped.inputs(waveform, **({"return_attention_mask": True} if is_whisper else {}))
    most = {} if is_whisper else {"max_new_tokens": _most_tokens(wrapped, len(waveform) / SAMPLE_RATE)}
    found = wrapped.model.generate(**inputs, **_search(wrapped), **most, **language)
    return wrapped.text(found[0], skip_special_tokens=True)


def _requested(wrapped: _Model, waveform: Waveform) -> str:
    """Tokens of a model whose processor writes the request for a transcript. (T,)"""
    ask, options = wrapped.processor.apply_transcription_request, wrapped.options
    known = inspect.signature(ask).parameters
    wanted = {"language": options.language, "source_language": options.language, "prompt": options.prompt}
    chosen = {name: value for name, value in wanted.items() if value and name in known}
    return _answer(wrapped, wrapped.moved(ask(audio=waveform, **chosen)))


def _instructed(wrapped: _Model, waveform: Waveform) -> str:
    """Tokens of Granite, which is asked in words. (T,)"""
    content = f"{wrapped.processor.audio_token}{wrapped.options.prompt or REQUEST}"
    chat = [{"role": "user", "content": content}]
    text = wrapped.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    inputs = wrapped.processor(text, torch.from_numpy(waveform)[None], device=wrapped.device, return_tensors="pt")
    return _answer(wrapped, wrapped.moved(inputs))


def _answer(wrapped: _Model, inputs: dict[str, Any]) -> str:
    """What a model writes behind a request, without the request."""
    found = wrapped.model.generate(**inputs, **_search(wrapped), max_new_tokens=wrapped.options.tokens)
    ids = inputs.get("input_ids", inputs.get("decoder_input_ids"))
    request = 0 if ids is None else ids.shape[1]
    return wrapped.text(found[0, request:], skip_special_tokens=True)


def _search(wrapped: _Model) -> dict[str, Any]:
    return {"do_sample": False, "num_beams": wrapped.options.beam}


def _most_tokens(wrapped: _Model, seconds: float) -> int:
    if str(wrapped.model.config.model_type).startswith("moonshine"):
        return min(wrapped.options.tokens, max(4, math.ceil(seconds * MOONSHINE_TOKENS)))
    return wrapped.options.tokens


def _language(wrapped: _Model, specification: str) -> dict[str, Any]:
    """Arguments of `generate` that name the language: of Whisper where it knows several, else of none.

    Raises:
        RecogniserError: a language is asked for that the model cannot be told.
    """
    options, settings = wrapped.options, wrapped.model.generation_config
    several = getattr(settings, "lang_to_id", None)
    if several and getattr(settings, "is_multilingual", True):
        known = sorted(token.strip("<|>") for token in several)
        if options.language and options.language not in known:
            raise RecogniserError(
                f"`language` of `{specification}` must be one of {', '.join(known)}, but is '{options.language}'"
            )
        return {"language": options.language or None, "task": "transcribe"}
    if options.language not in ("", "en") or (options.language and wrapped.model.config.model_type != "whisper"):
        raise RecogniserError(f"`language` of `{specification}` must be left out: the model cannot be told one")
    return {}


def _details(source: str, model: Any, options: HuggingFaceOptions) -> dict[str, str]:
    details = {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "model": type(model).__name__,
        "options": json.dumps(dump(options), sort_keys=True),
    }
    if Path(source).is_dir():
        digest = hashlib.sha256()
        for path in sorted(Path(source).glob("*.safetensors")):
            digest.update(bytes.fromhex(sha256_of(path)))
        return {**details, "weights_sha256": digest.hexdigest()}
    return {**details, "revision": str(getattr(model.config, "_commit_hash", None))}
