"""`hf:FOLDER` and `hf:ORGANISATION/NAME@REVISION`: CTC checkpoints that transformers can load (extra `hf`).

The model is called with arrays, one utterance at a time: no padding, which changes the output of some models, and no
torchaudio. Only safetensors weights and code of transformers itself are loaded. A folder is read offline; a hub id
is looked up on the hub, or in its local cache when HF_HUB_OFFLINE=1.
"""

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import NamedRecogniser, Waveform

HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+|[\w.-]+)(@(?P<revision>[\w./-]+))?")

_EXTRACTORS: Any = AutoFeatureExtractor  # its methods have no types


def recogniser(specification: str, target: str, *, workers: int, device: str) -> NamedRecogniser:
    """A transformers CTC model as a recogniser: the best token of each frame, decoded by its tokenizer.

    Args:
        specification: the whole of it, for the result.
        target: a folder, or a hub id, with `@revision` to pin it.
        workers: utterances at the same time, each in a thread.
        device: where the model runs.

    Raises:
        RecogniserError: there is no such model, it is no CTC model, or its weights are not safetensors.
    """
    source, options = _source(target)
    try:
        config = AutoConfig.from_pretrained(source, **options)
        names = getattr(config, "architectures", None) or []
        if not any(name.endswith("ForCTC") for name in names):
            raise RecogniserError(
                f"`{specification}` must be a CTC model, but is {' '.join(names) or config.model_type} instead; serve "
                "it and use openai:URL, or write a function and use python:module:function"
            )
        extractor = _EXTRACTORS.from_pretrained(source, **options)
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model, loaded = AutoModelForCTC.from_pretrained(
            source, use_safetensors=True, output_loading_info=True, **options
        )
        if absent := [name for name in loaded["missing_keys"] if name.startswith("lm_head")]:
            raise RecogniserError(f"`{specification}` must have a trained head, but lacks {' and '.join(absent)}")
        model.to(device).eval()
    except RecogniserError:
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RecogniserError(
            f"`{specification}` must be a model of transformers, but cannot be loaded: {reason}"
        ) from error
    if extractor.sampling_rate != SAMPLE_RATE:
        raise RecogniserError(f"`{specification}` must take 16 kHz, but takes {extractor.sampling_rate} Hz instead")
    best_tokens = _greedy(model, extractor, device)

    def recognise(waveforms: list[Waveform]) -> list[str]:
        with ThreadPoolExecutor(workers) as pool:
            return [_text(tokenizer, ids) for ids in pool.map(best_tokens, waveforms)]

    return NamedRecogniser(specification, recognise, _details(source, model))


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


def _greedy(model: Any, extractor: Any, device: str) -> Callable[[Waveform], list[int]]:
    def best_tokens(waveform: Waveform) -> list[int]:
        inputs = extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt").to(device)
        with torch.inference_mode():
            best: list[int] = model(**inputs).logits[0].argmax(dim=-1).tolist()  # (F,)
        return best

    return best_tokens


def _text(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids))


def _details(source: str, model: Any) -> dict[str, str]:
    details = {"transformers": transformers.__version__, "model": type(model).__name__}
    if Path(source).is_dir():
        digest = hashlib.sha256()
        for path in sorted(Path(source).glob("*.safetensors")):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return {**details, "weights_sha256": digest.hexdigest()}
    return {**details, "revision": str(getattr(model.config, "_commit_hash", None))}
