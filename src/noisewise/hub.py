"""Models of the Hugging Face hub, by name and revision; the network is used only when such a name is given."""

import re
from pathlib import Path

from noisewise.errors import ModelError

PREFIX = "hf:"
"""Beginning of the names of models of the hub."""
NAME = re.compile(r"hf:(?P<name>[\w.-]+(/[\w.-]+)?)@(?P<revision>[\w./-]+)")
SETTINGS = ("*.json",)
WEIGHTS = (("*.safetensors",), ("pytorch_model.bin",), ("model.bin", "vocabulary.txt"))
"""Old pickles are downloaded only where there is no safetensors file; those of CTranslate2, where there is neither."""


def fetch(name: str) -> Path:
    """Find the folder of a model of the hub; it is downloaded unless the cache of huggingface_hub has it.

    A revision that is a whole commit hash is taken from the cache without asking the hub.

    Args:
        name: `hf:ORGANISATION/NAME@REVISION`; the revision (a commit hash, a tag or a branch) must be there, so
            that a score can be repeated. Only a commit hash never moves.

    Raises:
        ModelError: the name is no such name, or the hub does not have it or cannot be reached.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    found = NAME.fullmatch(name)
    if found is None:
        raise ModelError(
            f"`{name}` must be hf:ORGANISATION/NAME@REVISION, but is not; the revision is a commit hash, a tag or a "
            "branch such as main"
        )
    folder = Path()
    for weights in WEIGHTS:
        folder = _snapshot(name, found["name"], found["revision"], [*SETTINGS, *weights])
        if any(path for path in folder.glob(weights[0])):
            break
    return folder


def _snapshot(name: str, repository: str, revision: str, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    known = re.fullmatch(r"[0-9a-f]{40}", revision) is not None
    for cached in (True, False) if known else (False,):
        try:
            return Path(
                snapshot_download(repository, revision=revision, allow_patterns=patterns, local_files_only=cached)
            )
        except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
            if not cached:
                reason = " ".join(str(error).split())[:300]
                raise ModelError(
                    f"`{name}` must be on the hub or in its cache, but cannot be fetched: {reason}; download it where "
                    "there is a network, or give the path of a folder"
                ) from error
    raise AssertionError("unreachable")
