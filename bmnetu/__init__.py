"""bmnetu: compiles UFW networks into bmodels for the Sophon BM1684, and proves them layer by
layer.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bmnetu.api import calibrate, check, compile, evaluate, generate_umodel, verify, what_if
    from bmnetu.errors import (
        AccuracyError,
        BmnetuError,
        CompareError,
        FaultError,
        InputFileError,
        UnsupportedError,
        UsageError,
    )
    from bmnetu.report.result import CompileResult, LayerResult
    from bmnetu.version import VERSION as __version__

__all__ = [
    "AccuracyError",
    "BmnetuError",
    "CompareError",
    "CompileResult",
    "FaultError",
    "InputFileError",
    "LayerResult",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "calibrate",
    "check",
    "compile",
    "evaluate",
    "generate_umodel",
    "verify",
    "what_if",
]

_API = ("calibrate", "check", "compile", "evaluate", "generate_umodel", "verify", "what_if")
_RESULTS = ("CompileResult", "LayerResult")


def __getattr__(name: str) -> object:
    """Loads a name where it is first used: ``bmnetu -help`` answers at once, and a command puts
    Ctrl-C in hand before it imports anything."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "__version__":
        return import_module("bmnetu.version").VERSION
    place = "api" if name in _API else "report.result" if name in _RESULTS else "errors"
    return getattr(import_module(f"bmnetu.{place}"), name)


def __dir__() -> list[str]:
    return __all__
