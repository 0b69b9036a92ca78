"""`box` and folders: models that noisewise has trained."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from noisewise.checkpoints.model_folder import weights_hash
from noisewise.config import dump
from noisewise.decoding.recording_decoder import normalised_hotwords
from noisewise.decoding.saved_config import moved
from noisewise.evaluation.systems.protocol import NamedRecogniser, Timed, Waveform
from noisewise.files import sha256_of
from noisewise.inference.likelihood import likelihoods
from noisewise.inference.recogniser import Recogniser
from noisewise.text.normalise import named_for

if TYPE_CHECKING:
    from noisewise.decoding.config import DecodingConfig
    from noisewise.decoding.recording_decoder import Greedy, Hotwords


def recogniser(
    specification: str, device: str, decoding: "DecodingConfig | Greedy | None", hotwords: "Hotwords"
) -> NamedRecogniser:
    """A noisewise model as a recogniser; arguments as in `noisewise.evaluation.systems.loading.load`.

    Raises:
        NoisewiseError: there is no such model, or it cannot decode so.
    """
    model = Recogniser.load(specification, device, decoding)
    details = {"weights_sha256": weights_hash(specification), **_decoding_details(model.decoding)}
    if model.least_confidence:
        details["least_confidence"] = f"{model.least_confidence:g}"
    if wanted := normalised_hotwords(hotwords):
        details["hotwords"] = json.dumps(wanted, sort_keys=True)

    def timed(waveforms: list[Waveform]) -> list[Timed]:
        found = model.transcribe(list(waveforms), hotwords=wanted, errors="raise")
        return [Timed(each.text, each.words) for each in found]

    return NamedRecogniser(
        specification,
        lambda waveforms: model.recognise(waveforms, wanted),
        details,
        likelihoods=lambda waveforms, texts: likelihoods(model, waveforms, texts),
        times="words",
        with_times=timed,
        normaliser=named_for(model.tokenizer.symbols),
    )


def _decoding_details(decoding: "DecodingConfig | Greedy") -> dict[str, str]:
    """How a model decodes, without paths of this machine, and the hashes of its files; nothing when greedily."""
    if isinstance(decoding, str):
        return {}
    details: dict[str, str] = {}

    def named(name: str, file: str) -> str:
        details[f"{name}_sha256"] = sha256_of(Path(file))
        return Path(file).name

    return {"decoding": json.dumps(dump(moved(decoding, named))), **details}
