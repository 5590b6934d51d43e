"""What the ops of both dialects that compute a pointwise function share."""

from __future__ import annotations

from math import inf, isfinite

from xdsl.dialects.builtin import DictionaryAttr, Float32Type, FloatAttr, StringAttr, f32
from xdsl.ir import Attribute
from xdsl.irdl import IRDLOperation, prop_def
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.hints import isa

from dialects.composed import ComposedError, parsed
from dialects.function import Function, Parameters
from dialects.functions import FUNCTIONS


class FunctionProperties(IRDLOperation):
    """``function`` is the name of a row of :mod:`dialects.functions`, or a function composed of
    them (:mod:`dialects.composed`); ``parameters`` has those parameters, as f32, that are not at
    their defaults."""

    function = prop_def(StringAttr)
    parameters = prop_def(DictionaryAttr, default_value=DictionaryAttr({}))

    @property
    def row(self) -> Function:
        """The function's row. Raises :class:`VerifyException` when there is none."""
        name = self.function.data
        found = FUNCTIONS.get(name)
        if found is None and "(" in name:
            try:
                return parsed(name)
            except ComposedError as error:
                raise VerifyException(str(error)) from None
        if found is None:
            known = ", ".join(FUNCTIONS)
            raise VerifyException(f'"{self.function.data}" is no function; known are {known}')
        return found

    @property
    def settings(self) -> dict[str, float]:
        """All parameters of the function by name.

        Raises :class:`VerifyException` for one that the function does not have, and for one that is
        no finite f32.
        """
        found = dict(self.row.defaults)
        for name, value in self.parameters.data.items():
            if name not in found:
                known = ", ".join(found) or "none"
                raise VerifyException(f'"{self.row.name}" has no parameter {name}; it has {known}')
            number = value.value.data if isa(value, FloatAttr[Float32Type]) else inf
            if not isfinite(number):
                raise VerifyException(f"parameter {name} is {value}, a finite f32 is required")
            found[name] = number
        return found


def function_properties(function: str, parameters: Parameters) -> dict[str, Attribute]:
    """The properties of such an op; parameters at their defaults are left out."""
    row = FUNCTIONS.get(function)
    defaults = row.defaults if row is not None else dict[str, float]()
    given: dict[str, Attribute] = {
        name: FloatAttr(float(value), f32)
        for name, value in parameters.items()
        if value != defaults.get(name)
    }
    return {
        "function": StringAttr(function),
        "parameters": DictionaryAttr(given),
    }
