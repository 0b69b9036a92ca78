"""Transcripts of a training set, for models that learn from text alone."""

from collections.abc import Iterator

from noisewise.data.loading.dataset import DataConfig, Normalise
from noisewise.data.manifests.cuts import text_of
from noisewise.data.manifests.read import read_many
from noisewise.errors import DataError
from noisewise.text.normalise import ENGLISH


def read_transcripts(config: DataConfig, normalise: Normalise = ENGLISH) -> Iterator[str]:
    """The transcripts of a data set, normalised; a recording that is repeated counts as often.

    Raises:
        DataError: a manifest cannot be read, or there is not a word in any.
    """
    found = 0
    for cut in read_many(config.manifests):
        if text := normalise(text_of(cut) or ""):
            found += 1
            yield text
    if not found:
        raise DataError("`manifests` must hold transcripts, but have none; add a column `text`")
