"""Functions that go to other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xdsl.dialects.func import FuncOp
from xdsl.parser import Parser

from bmnetu.files.dump import constants_of, fill_constants, module_text
from bmnetu.pipeline import new_context
from dialects.constant import Array
from passes.module.functions import main_function


class PortableFunction:
    """A function that can be pickled: as text with its weights, which is exact."""

    def __init__(self, function: FuncOp) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Callable[..., PortableFunction], tuple[Any, ...]]:
        return _unpacked, (module_text(self.function), constants_of(self.function))


def _unpacked(text: str, weights: Mapping[str, Array]) -> PortableFunction:
    module = Parser(new_context(), text).parse_module()
    fill_constants(module, weights)
    return PortableFunction(main_function(module))
