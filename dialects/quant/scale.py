"""The encoding that a quantised tensor type carries: the real value of one integer step."""

from __future__ import annotations

import numpy as np
from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer


@irdl_attr_definition
class ScaleAttr(Data[float]):
    """``#quant.scale<0.0123>``: real value = integer * scale, zero point 0.

    threshold/127 for a signed tensor, threshold/255 for an unsigned one. On a float tensor it is
    the scale that the tensor gets where it is quantised. The value is a float32, printed exactly.
    """

    name = "quant.scale"

    @staticmethod
    def of(scale: float) -> ScaleAttr:
        return ScaleAttr(float(np.float32(scale)))

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> float:
        with parser.in_angle_brackets():
            return float(parser.parse_number())

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            text = repr(self.data)
            printer.print_string(
                text if "." in text or "e" not in text else text.replace("e", ".0e")
            )
