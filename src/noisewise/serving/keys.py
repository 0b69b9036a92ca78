"""Keys of the API: where they come from, and how one is compared."""

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from noisewise.errors import ConfigError
from noisewise.serving.api_error import ApiError

ENVIRONMENT = "NOISEWISE_API_KEY"
"""Environment variable with a key."""
SUBPROTOCOL = "openai-insecure-api-key."
"""Subprotocol of a WebSocket that carries a key, for browsers, which cannot set headers."""


class Keys:
    """The keys that a server accepts; without any it asks for none.

    Example:
        >>> keys = Keys(["sk-one", "sk-two"])
        >>> keys.accept("sk-two"), keys.accept("sk-three"), Keys().accept("")
        (True, False, True)
    """

    def __init__(self, keys: Iterable[str] = ()):
        self._digests = [_digest(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accept(self, key: str) -> bool:
        """Whether a key is one of these; compared in a time that does not depend on where they differ."""
        digest = _digest(key)
        found = [hmac.compare_digest(digest, each) for each in self._digests]
        return any(found) or not found

    def check(self, headers: Mapping[str, str], subprotocols: Iterable[str] = ()) -> None:
        """Refuse a request without a key that is accepted.

        Raises:
            ApiError: 401.
        """
        if not self:
            return
        kind, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip() if kind.lower() == "bearer" else ""
        for each in subprotocols:
            given = given or (each.removeprefix(SUBPROTOCOL) if each.startswith(SUBPROTOCOL) else "")
        if not self.accept(given):
            what = "is not one that the server accepts" if given else "is missing"
            raise ApiError(f"the API key {what}; send `Authorization: Bearer KEY`", "invalid_api_key", status=401)


def load(file: Path | None = None) -> Keys:
    """The keys of a file, one a line, and that of the environment.

    Raises:
        ConfigError: the file cannot be read, or holds no key.
    """
    keys = [os.environ[ENVIRONMENT]] if os.environ.get(ENVIRONMENT) else []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").split()
        except (OSError, ValueError) as error:
            raise ConfigError(f"--api-key-file must be a file of keys, but `{file}` cannot be read: {error}") from error
        if not lines:
            raise ConfigError(f"--api-key-file must hold a key, but `{file}` is empty; write one on a line")
        keys += lines
    return Keys(keys)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
