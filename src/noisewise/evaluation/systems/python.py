"""`python:module:function`: functions from waveforms to texts, or to scores."""

import importlib
import os
import sys
from types import ModuleType

from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import NamedRecogniser


def module_of(specification: str) -> ModuleType:
    """The module of `python:module:function`; the current folder is on the path.

    Raises:
        RecogniserError: it cannot be imported.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(specification.split(":")[1])
    except (ImportError, ValueError) as error:
        raise RecogniserError(
            f"`{specification}` must be python:module:function, but the module cannot be imported: {error}"
        ) from error


def recogniser(specification: str) -> NamedRecogniser:
    """A function as a recogniser; `VERSIONS` of its module, a dictionary, are its details.

    Raises:
        RecogniserError: there is no such module or function.
    """
    module_name, _, function_name = specification.partition(":")[2].partition(":")
    module = module_of(specification)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise RecogniserError(
            f"`{specification}` must name a function of `{module_name}`, but '{function_name}' is none; "
            "write python:module:function"
        )
    return NamedRecogniser(specification, function, dict(getattr(module, "VERSIONS", {})))
