"""bmnetu: compiles UFW networks into bmodels for the Sophon BM1684, and proves them layer by
layer.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from bmnetu.errors import (
    AccuracyError,
    BmnetuError,
    CompareError,
    InputFileError,
    UnsupportedError,
    UsageError,
)
from bmnetu.version import VERSION as __version__

if TYPE_CHECKING:
    from bmnetu.api import calibrate, compile, evaluate, generate_umodel, verify
    from bmnetu.result import CompileResult, LayerResult

__all__ = [
    "AccuracyError",
    "BmnetuError",
    "CompareError",
    "CompileResult",
    "InputFileError",
    "LayerResult",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "calibrate",
    "compile",
    "evaluate",
    "generate_umodel",
    "verify",
]

_LATE = {
    "calibrate": "bmnetu.api",
    "compile": "bmnetu.api",
    "evaluate": "bmnetu.api",
    "generate_umodel": "bmnetu.api",
    "verify": "bmnetu.api",
    "CompileResult": "bmnetu.result",
    "LayerResult": "bmnetu.result",
}


def __getattr__(name: str) -> object:
    """Loads the compiler where it is first used, so that ``bmnetu -help`` answers at once."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)


def __dir__() -> list[str]:
    return __all__
