"""Negative log-likelihood of references under a recogniser: how far a model is from the words, errors or not.

- `ctc`: -ln P_ctc(Y | X), summed over all alignments, with as many tokens as the reference has;
- `attention`: -ln P_att(Y, end | X) of an encoder-decoder, with one token more, the end.

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
from noisewise.models.encoder_decoder import EncoderDecoder
from noisewise.text.normalise import fitting

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
        long for any alignment.
    """
    normaliser = fitting(recogniser.tokenizer.symbols)
    encoded = [recogniser.tokenizer.encode(normaliser(text)) for text in texts]
    return [_likelihood(recogniser, *pair) for pair in zip(waveforms, encoded, strict=True)]


def _likelihood(recogniser: Recogniser, waveform: NDArray[Any], ids: list[int]) -> Likelihood:
    if not ids:
        return {}
    tokens, size = torch.tensor([ids]), torch.tensor([len(ids)])
    (log_probs,) = recogniser.log_probs([waveform])  # (F, V), on the CPU
    nats = float(ctc_loss(log_probs[None], torch.tensor([len(log_probs)]), tokens, size)[0])
    found: Likelihood = {"ctc": (nats, len(ids))} if nats > 0 else {}  # 0 where the reference does not fit
    if isinstance(recogniser.model, EncoderDecoder):
        output = recogniser.model.encode(*padded([waveform], recogniser.device))
        loss = recogniser.model.attention_loss(
            output, tokens.to(output.features.device), size.to(output.lengths.device)
        )
        found["attention"] = (float(loss[0]), len(ids) + 1)
    return found
