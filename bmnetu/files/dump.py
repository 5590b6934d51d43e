"""``-dump_ir``: the IR after each pass as text, with the weights beside it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from itertools import chain
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
        for attribute in chain.from_iterable(map(_parts, op.properties.values())):
            if isinstance(attribute, ConstantAttr) and attribute.data.array is not None:
                found[attribute.data.digest] = attribute.data.array
    return found


def _parts(attribute: Attribute) -> Iterable[Attribute]:
    return attribute.data.values() if isinstance(attribute, DictionaryAttr) else [attribute]


def fill_constants(module: Operation, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Gives every constant of a module its data, looked up by digest. Raises ConstantError."""
    for op in module.walk():
        for name, attribute in op.properties.items():
            op.properties[name] = _filled(attribute, arrays)


def _filled(attribute: Attribute, arrays: Mapping[str, NDArray[Any]]) -> Attribute:
    if isinstance(attribute, ConstantAttr):
        return cast(Attribute, with_data(attribute, arrays))
    if isinstance(attribute, DictionaryAttr):
        return DictionaryAttr({k: _filled(v, arrays) for k, v in attribute.data.items()})
    return attribute


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
        own = f"{self.count:02}_{name}.mlir"
        files[own] = module_text(module).encode()
        self.folder.store(files)
        if not self.count:
            self._drop_others(own)
        self.count += 1

    def _drop_others(self, own: str) -> None:
        """Removes an earlier dump, which needs other weights."""
        for path in self.folder.path.glob("[0-9][0-9]_*.mlir"):
            if path.name != own:
                path.unlink(missing_ok=True)
