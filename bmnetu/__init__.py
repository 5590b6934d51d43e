"""bmnetu: compiles UFW networks into bmodels for the Sophon BM1684, and proves them layer by
layer.
"""

from bmnetu.api import calibrate, compile, generate_umodel, verify
from bmnetu.errors import (
    BmnetuError,
    CompareError,
    InputFileError,
    UnsupportedError,
    UsageError,
)
from bmnetu.result import CompileResult, LayerResult
from bmnetu.version import VERSION as __version__

__all__ = [
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
    "generate_umodel",
    "verify",
]
