"""pocketsphinx with its stock English model, for the noise grid. `pip install pocketsphinx==5.1.1`.

As a function that keeps the model loaded, or as a program that prints the text of one wav file:

    noisewise evaluate ... --model python:benchmarks.recognisers.pocketsphinx_file:recognise
    noisewise evaluate ... --model "command:python benchmarks/recognisers/pocketsphinx_file.py {}"

Every utterance is decoded whole, with feature normalisation over the utterance, by a decoder in its initial
state, so that neither the order nor the other utterances matter.
"""

import sys
from functools import cache
from importlib.metadata import version

import numpy as np
from pocketsphinx import Decoder

from noisewise.audio.pcm import pcm16
from noisewise.audio.waveform import load

VERSIONS = {"pocketsphinx": version("pocketsphinx")}


@cache
def decoder() -> Decoder:
    return Decoder(samprate=16000, loglevel="FATAL")


def recognise(waveforms: list[np.ndarray]) -> list[str]:
    """16 kHz waveforms (T,) to texts."""
    return [recognise_one(waveform) for waveform in waveforms]


def recognise_one(waveform: np.ndarray) -> str:
    sphinx = decoder()
    sphinx.reinit_feat()
    sphinx.start_utt()
    sphinx.process_raw(pcm16(waveform)[0].tobytes(), full_utt=True)
    sphinx.end_utt()
    found = sphinx.hyp()
    return "" if found is None else found.hypstr


if __name__ == "__main__":
    print(recognise_one(load(sys.argv[1], allow_silent=True)))
