"""The encoding that a quantised tensor type carries: the real value of one integer step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer


class Steps(NamedTuple):
    """The real value of one step, and whether a float tensor is quantised without a sign."""

    scale: float
    unsigned: bool = False


@irdl_attr_definition
class ScaleAttr(Data[Steps]):
    """``#quant.scale<0.0123>``: real value = integer * scale, zero point 0.

    threshold/127 for a signed tensor, threshold/255 for an unsigned one. On a float tensor it is
    the scale that the tensor gets where it is quantised, ``#quant.scale<0.0123, unsigned>`` where
    it becomes uint8; an 8-bit tensor's sign is its element type's. The value is a float32, printed
    exactly.
    """

    name = "quant.scale"

    @staticmethod
    def of(scale: float, unsigned: bool = False) -> ScaleAttr:
        return ScaleAttr(Steps(float(np.float32(scale)), unsigned))

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Steps:
        with parser.in_angle_brackets():
            scale = float(parser.parse_number())
            unsigned = parser.parse_optional_punctuation(",") is not None
            if unsigned:
                parser.parse_keyword("unsigned")
            return Steps(scale, unsigned)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            text = repr(self.data.scale)
            printer.print_string(
                text if "." in text or "e" not in text else text.replace("e", ".0e")
            )
            if self.data.unsigned:
                printer.print_string(", unsigned")
