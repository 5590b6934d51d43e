"""Division of whole numbers, which layers hold as float32, by a constant."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators import arithmetic
from bmnetu.frontend.onnx.site import Site

FLOOR = "q1 = add({x}, 0.5); q2 = mul(q1, {inverse!r}); q = floor(q2); "
"""The quotient of a whole number and a positive one, rounded down. With the half added no rounding
of float32 reaches the next whole number, up to 2^22."""
SIZE = "size = abs(x); "
SIGN = "below = lt(x, 0.0); twice = mul(below, -2.0); sign = add(twice, 1.0); "


def divide(site: Site) -> Blob:
    """Whole numbers are divided as in C: what remains has the sign of the first."""
    if site.element(0) == TensorProto.FLOAT:
        return arithmetic.divide(site)
    divisor = _divisor(site)
    quotient = SIZE + FLOOR.format(x="size", inverse=_inverse(divisor))
    steps = f"signed = mul(q, {float(np.sign(divisor))}); mul(signed, sign)"
    return _function(site, quotient + SIGN + steps)


def modulo(site: Site) -> Blob:
    """As in Python, what remains has the sign of the divisor; with ``fmod`` as in C."""
    if site.element(0) == TensorProto.FLOAT:
        raise Refusal("it divides floats")
    divisor, fmod = _divisor(site), site.node.integer("fmod", 0)
    size = abs(divisor)
    inverse = _inverse(divisor)
    rest = f"taken = mul(q, {float(size)}); "
    if fmod:
        steps = SIZE + FLOOR.format(x="size", inverse=inverse) + rest
        return _function(site, steps + SIGN + "rest = sub(size, taken); mul(rest, sign)")
    sign = float(np.sign(divisor))
    steps = f"turned = mul(x, {sign}); " + FLOOR.format(x="turned", inverse=inverse) + rest
    return _function(site, steps + f"rest = sub(turned, taken); mul(rest, {sign})")


def _divisor(site: Site) -> int:
    """The one constant number that is divided by."""
    found = site.given(1)
    if isinstance(site.given(0), Blob) and not isinstance(found, Blob) and found is not None:
        if found.size == 1 and found.ndim <= len(site.blob(0).shape):
            divisor = int(found.ravel()[0])
            if divisor == 0:
                raise InputFileError(site.node.fault("divides by 0"))
            return divisor
    raise Refusal("it divides whole numbers by other than one constant")


def _inverse(divisor: int) -> float:
    return float(np.float32(1) / np.float32(abs(divisor)))


def _function(site: Site, text: str) -> Blob:
    param = {"function": text}
    return site.layer("ComposedFunction", site.blob(0), composed_function_param=param)
