"""Configurations of any origin are compared with their weights before a model takes memory.

A model is first built of shapes alone (torch's device `meta`), with no more modules than its weights can belong to.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from noisewise.errors import ModelError, NoisewiseError

M = TypeVar("M", bound=nn.Module)

SPARE, EACH = 200, 8
"""Modules that a model may have: some without weights, and so many for each tensor."""


def build(make: Callable[[], M], weights: Mapping[str, Tensor], source: object, error: type[ModelError]) -> M:
    """A model of shapes alone.

    Args:
        make: builds the model from its configuration.
        weights: those that it will be given.
        source: the configuration, for messages.
        error: class of what is raised.

    Raises:
        ModelError: of class `error`: the configuration describes no model, or one of more modules than its weights.
    """
    try:
        with torch.device("meta"), _bounded(SPARE + EACH * len(weights)):
            return make()
    except (NoisewiseError, ModuleNotFoundError):
        raise
    except Exception as problem:  # a wrong number may surface anywhere in a model, as anything
        reason = " ".join(f"{problem}".split())[:300]
        raise error(f"`{source}` must describe a model that fits its weights, but does not: {reason}") from problem


@contextmanager
def _bounded(most: int) -> Iterator[None]:
    """Refuse that this thread makes more modules than so many."""
    thread, made = threading.get_ident(), 0

    def count(module: nn.Module, name: str, child: Any) -> None:
        nonlocal made
        made += threading.get_ident() == thread
        if made > most:
            raise ValueError(f"it has more than {most} modules, too many for the weights that there are")

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
