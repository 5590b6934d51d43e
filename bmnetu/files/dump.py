"""``-dump_ir``: the IR after each pass as text, with the weights beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp
from xdsl.ir import Attribute, Operation

from bmnetu.files.outputs import OutputFolder
from bmnetu.files.text_printer import TextPrinter
from dialects.constant import ConstantAttr, with_data

WEIGHTS = "weights.npz"


def module_text(module: Operation) -> str:
    """The module, or a function of it, as text that can be run again, with locations."""
    stream = io.StringIO()
    TextPrinter(stream, print_debuginfo=True).print_with_aliases(module)
    return stream.getvalue() + "\n"


def constants_of(module: Operation) -> dict[str, NDArray[Any]]:
    """The data of all blobs in a module or function, by digest."""
    found: dict[str, NDArray[Any]] = {}
    for op in module.walk():
        for attribute in op.properties.values():
            for each in _entries(attribute).values():
                if isinstance(each, ConstantAttr) and each.data.array is not None:
                    found[each.data.digest] = each.data.array
    return found


def _entries(attribute: Attribute) -> Mapping[str, Attribute]:
    """The attributes within one: a dictionary's (the coefficients of a record), or itself."""
    return attribute.data if isinstance(attribute, DictionaryAttr) else {"": attribute}


def fill_constants(module: Operation, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Gives every constant of a module its data, looked up by digest. Raises ConstantError."""
    for op in module.walk():
        for name, attribute in op.properties.items():
            if isinstance(attribute, ConstantAttr):
                op.properties[name] = cast(Attribute, with_data(attribute, arrays))
            elif isinstance(attribute, DictionaryAttr):
                op.properties[name] = DictionaryAttr({
                    key: cast(Attribute, with_data(each, arrays))
                    if isinstance(each, ConstantAttr) else each
                    for key, each in attribute.data.items()
                })


class Dumper:
    """Writes ``NN_pass.mlir`` files into a folder, and weights.npz with all constants so far."""

    def __init__(self, folder: OutputFolder):
        self.folder = folder
        self.count = 0
        self.weights: dict[str, NDArray[Any]] = {}

    def dump(self, name: str, module: ModuleOp) -> None:
        """Writes the module as it is now, together with the weights if there are new ones."""
        files: dict[str, bytes] = {}
        new = constants_of(module)
        if not self.count or new.keys() - self.weights.keys():
            self.weights |= new
            stream = io.BytesIO()
            np.savez(stream, allow_pickle=False, **self.weights)
            files[WEIGHTS] = stream.getvalue()
        files[f"{self.count:02}_{name}.mlir"] = module_text(module).encode()
        self.folder.store(files)
        self.count += 1
