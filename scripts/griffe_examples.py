"""An extension of griffe for the API pages: `Example:` of a docstring is a section of doctest lines."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):  # type: ignore[misc]
    """Reads `Example:` as `Examples:`, the one name that griffe has for it."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rename the section in the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
