"""Negative log-likelihood of references under a recogniser: how far a model is from the words, errors or not.

- `ctc`: -ln P_ctc(Y | X), summed over all alignments, with as many tokens as the reference has;
- `attention`: -ln P_att(Y, end | X) of an encoder-decoder, with one token more, the end. The decoder of a Whisper,
  which has tokens of its own, is given the normalised words as a sentence ("Go home."), behind its prompt.

Divided by the number of tokens it is in nats per token, and comparable between models with the same tokens.

Legend: F frames, V tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from noisewise.inference.recogniser import Recogniser
from noisewise.inference.windowing import padded
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder_decoder import IGNORED, EncoderDecoder
from noisewise.models.whisper.whisper import Whisper
from noisewise.text.normalise import fitting
from noisewise.text.written import written

Likelihood = dict[str, tuple[float, int]]
"""Name of a criterion (`ctc`, `attention`) to -ln P(reference | waveform) in nats and its number of tokens."""


@torch.inference_mode()
def likelihoods(recogniser: Recogniser, waveforms: Sequence[NDArray[Any]], texts: Sequence[str]) -> list[Likelihood]:
    """Negative log-likelihoods of references, each computed alone.

    Args:
        recogniser: a model with its tokenizer.
        waveforms: 16 kHz samples. (T,) each
        texts: a reference for each, as in the manifest.

    Returns:
        For each waveform the criteria that its model has; none where no token stays of the reference, or it is too
        long for any alignment, or for the decoder of a Whisper, whose recordings last 30 s at most.
    """
    normaliser = fitting(recogniser.tokenizer.symbols)
    normalised = [normaliser(text) for text in texts]
    if isinstance(recogniser.model, Whisper):
        pairs = zip(waveforms, normalised, strict=True)
        return [_of_whisper(recogniser, recogniser.model, *pair) for pair in pairs]
    encoded = map(recogniser.tokenizer.encode, normalised)
    return [_likelihood(recogniser, *pair) for pair in zip(waveforms, encoded, strict=True)]


def _likelihood(recogniser: Recogniser, waveform: NDArray[Any], ids: list[int]) -> Likelihood:
    if not ids:
        return {}
    found = _by_ctc(recogniser, waveform, ids)
    if isinstance(recogniser.model, EncoderDecoder):
        tokens, size = torch.tensor([ids]), torch.tensor([len(ids)])
        output = recogniser.model.encode(*padded([waveform], recogniser.device))
        loss = recogniser.model.attention_loss(
            output, tokens.to(output.features.device), size.to(output.lengths.device)
        )
        found["attention"] = (float(loss[0]), len(ids) + 1)
    return found


def _of_whisper(recogniser: Recogniser, model: Whisper, waveform: NDArray[Any], text: str) -> Likelihood:
    assert recogniser.pieces is not None and not isinstance(recogniser.decoding, str)
    letters, pieces, chosen = recogniser.tokenizer.encode(text), recogniser.pieces, recogniser.decoding.whisper
    if not letters or len(waveform) > model.longest:
        return {}
    found = _by_ctc(recogniser, waveform, letters) if model.has_head else {}
    prompt = pieces.prompt(chosen.language or "en" if chosen else "en")
    tokens = [*pieces.encode(f" {written(text, 'sentence')}"), pieces.end]
    if len(prompt) + len(tokens) - 1 <= model.config.decoder.positions:
        output = model.encode(*padded([waveform], recogniser.device))
        inputs = output.lengths.new_tensor([[*prompt, *tokens[:-1]]])
        targets = output.lengths.new_tensor([[IGNORED] * (len(prompt) - 1) + tokens])
        found["attention"] = (float(model.attention_loss(output, inputs, targets)[0]), len(tokens))
    return found


def _by_ctc(recogniser: Recogniser, waveform: NDArray[Any], ids: list[int]) -> Likelihood:
    (log_probs,) = recogniser.log_probs([waveform])  # (F, V), on the CPU
    sizes = torch.tensor([len(log_probs)]), torch.tensor([ids]), torch.tensor([len(ids)])
    nats = float(ctc_loss(log_probs[None], *sizes)[0])
    return {"ctc": (nats, len(ids))} if nats > 0 else {}  # 0 where the reference does not fit
