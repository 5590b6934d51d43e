"""Einsum of one or two tensors: sums, an order of the dimensions, and one product of matrices."""

from __future__ import annotations

from math import prod

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.site import Site

Labels = str
"""A letter a dimension."""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(site: Site) -> Blob:
    """Indices in one operand alone that the result lacks are summed first. What both have and the
    result lacks is the product's inner dimension; what all have is its batch."""
    tensors = site.tensors()
    terms, result = _labels(site, tensors)
    if any(len({*term}) != len(term) for term in terms):
        raise Refusal("it reads a diagonal")
    if len(tensors) == 1:
        x, labels = _summed(site, tensors[0], terms[0], result, "summed")
        return _ordered(site, x, labels, result, "")
    if len(tensors) != 2:
        raise Refusal(f"it multiplies {len(tensors)} tensors; two can be compiled")
    (a, b), (left, right) = tensors, terms
    a, left = _summed(site, a, left, right + result, "left_summed")
    b, right = _summed(site, b, right, left + result, "right_summed")
    batch = [x for x in result if x in left and x in right]
    inner = [x for x in left if x in right and x not in result]
    rows = [x for x in result if x in left and x not in right]
    columns = [x for x in result if x in right and x not in left]
    sizes = dict(zip(left, a.shape, strict=True)) | dict(zip(right, b.shape, strict=True))
    orders = ("".join([*batch, *rows, *inner]), "".join([*batch, *inner, *columns]))
    a = _ordered(site, a, left, orders[0], "left")
    b = _ordered(site, b, right, orders[1], "right")
    counts = [prod(sizes[x] for x in group) for group in (batch, rows, inner, columns)]
    a = site.reshaped(a, (counts[0], counts[1], counts[2]), "left_matrices")
    b = site.reshaped(b, (counts[0], counts[2], counts[3]), "right_matrices")
    y = site.layer("MatMul", [a, b], part="product")
    made = "".join([*batch, *rows, *columns])
    y = site.reshaped(y, [sizes[x] for x in made], "" if made == result else "apart")
    return _ordered(site, y, made, result, "")


def _labels(site: Site, tensors: list[Blob]) -> tuple[list[Labels], Labels]:
    """The letters of each operand, and of the result. Dots become letters that are free."""
    equation = site.node.text("equation", "").replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    used = {*equation}
    free = [x for x in LETTERS if x not in used]
    if len(terms) != len(tensors):
        raise InputFileError(site.node.fault(f"equation {equation!r} for {len(tensors)} inputs"))
    spread = max(
        (len(x.shape) - len(term) + 3 for term, x in zip(terms, tensors, strict=True)
         if "..." in term), default=0,
    )  # fmt: skip
    if not arrow:
        once = sorted(x for x in used - {*",.->"} if left.count(x) == 1)
        result = ("..." if "..." in left else "") + "".join(once)
    if not 0 <= spread <= len(free):
        raise InputFileError(site.node.fault(f"equation {equation!r} does not fit its inputs"))
    dots = "".join(free[:spread])
    found: list[Labels] = []
    for term, x in zip(terms, tensors, strict=True):
        own = len(x.shape) - len(term) + 3
        labels = term.replace("...", dots[len(dots) - own :] if own > 0 else "")
        if len(labels) != len(x.shape) or not {*labels} <= {*LETTERS}:
            raise InputFileError(site.node.fault(f"equation {equation!r} does not fit its inputs"))
        found.append(labels)
    result = result.replace("...", dots)
    if not {*result} <= {*"".join(found)} or len({*result}) != len(result):
        raise InputFileError(site.node.fault(f"equation {equation!r} has no result"))
    return found, result


def _summed(site: Site, x: Blob, labels: Labels, kept: str, part: str) -> tuple[Blob, Labels]:
    """The tensor, summed over what is not kept, and its letters then."""
    axes = [axis for axis, label in enumerate(labels) if label not in kept]
    if not axes:
        return x, labels
    settings = {"operation": "SUM", "axis": axes, "keep_dims": True}
    x = site.layer("Reduce", x, part=part, reduce_param=settings)
    left = "".join(label for label in labels if label in kept)
    shape = [size for axis, size in enumerate(x.shape) if axis not in axes]
    return site.reshaped(x, shape, f"{part}_kept"), left


def _ordered(site: Site, x: Blob, labels: Labels, required: Labels, part: str) -> Blob:
    """The tensor with its dimensions in another order."""
    if labels == required:
        return x
    order = [labels.index(label) for label in required]
    return site.layer("Permute", x, part=part, permute_param={"order": order})
