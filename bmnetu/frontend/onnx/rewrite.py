"""Nodes that are one operator together, as exporters write them: normalisations in their parts.

What comes out has the domain ``bmnetu``: ``Standardize`` is ``(x - mean) / sqrt(variance + eps)``,
``RootMeanSquare`` is ``x / sqrt(mean(x^2) + eps)``, ``Unit`` is ``x / |x|``; over ``axes``, with
factors and addends as further inputs. ``Grouped`` is an InstanceNormalization of a tensor under
another shape, as groups of channels are normalised. As one layer they are computed in float in an
INT8 net: their parts would be rounded to 8 bits one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

from onnx import NodeProto, TensorProto, helper

from bmnetu.frontend.onnx.nodes.node import Node
from bmnetu.frontend.onnx.reading.file import OnnxFile
from dialects.constant import Array

OWN = "bmnetu"
"""The domain of what is put in place of several nodes."""
LEAST_INPUTS = {"Add": 2, "Div": 2, "Expand": 2, "Mul": 2, "Pow": 2, "Sub": 2}
NUMPY = 7
"""From this operator set on tensors repeat as in numpy."""
FLOAT = (TensorProto.FLOAT,)
FEW = 1 << 16
"""Larger constants are no eps, exponent or axes, but may be factors."""


@dataclass(frozen=True)
class Found:
    """What several nodes are: the tensor that they normalise, over which axes, with which eps."""

    op: str
    x: str
    axes: tuple[int, ...]
    eps: float
    spread: tuple[int, ...] = ()
    """A shape that the result is repeated to: it must be the tensor's own."""
    more: tuple[str, ...] = ()
    """Inputs behind the factors and the addends."""


class Rewriter:
    """Looks for patterns from their last nodes on."""

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self.makers = {name: node for node in file.nodes for name in node.outputs if name}
        self.readers = Counter(name for node in file.nodes for name in node.inputs)
        self.readers.update(file.outputs)
        self.after = {node.inputs[i]: node for node in file.nodes for i in range(len(node.inputs))}

    def nodes(self) -> tuple[Node, ...]:
        """The file's nodes with the patterns replaced."""
        replaced: dict[int, Node] = {}
        for node in self.file.nodes:
            if len(node.inputs) != 2 or node.opset < NUMPY:
                continue
            for look in (standardized, root_mean_square, unit, grouped):
                found = look(self, node)
                if found is not None:
                    last, inputs = self.with_factors(node, found)
                    replaced[last.number] = _made(last, found, [*inputs, *found.more])
                    break
        return tuple(replaced.get(node.number, node) for node in self.file.nodes)

    # -- what a pattern asks ---------------------------------------------------------------------

    def maker(self, name: str, *ops: str) -> Node | None:
        """The node that makes a tensor, without what changes nothing; None where it is another, or
        has too few inputs."""
        node = self.makers.get(self.source(name))
        if node is None or node.op not in ops:
            return None
        return node if len(node.inputs) >= LEAST_INPUTS.get(node.op, 1) else None

    def source(self, name: str) -> str:
        """The tensor that another one only is a copy of."""
        node = self.makers.get(name)
        while node is not None and _is_copy(node):
            name = node.inputs[0]
            node = self.makers.get(name)
        return name

    def constant(self, name: str, most: int = FEW) -> Array | None:
        """A constant with few numbers."""
        tensor = self.file.tensors.get(name)
        node = self.maker(name, "Constant")
        if tensor is None and node is not None:
            tensor = node.tensor("value")
            number = node.number_of("value_float", float("nan")) if tensor is None else 0.0
            if tensor is None and number == number:
                tensor = helper.make_tensor("", TensorProto.FLOAT, (), [number])
        if tensor is None or sum(tensor.dims) > most:
            return None
        return self.file.array(tensor)

    def number(self, name: str) -> float | None:
        """A constant that is one number."""
        array = self.constant(name)
        return float(array.ravel()[0]) if array is not None and array.size == 1 else None

    def axes(self, node: Node | None) -> tuple[int, ...] | None:
        """What a reduction goes over, whose axes stay with extent 1; None where that is not known.
        """
        if node is None or not node.integer("keepdims", 1):
            return None
        given = node.integers("axes")
        if given is None and len(node.inputs) > 1:
            array = self.constant(node.inputs[1])
            given = None if array is None else tuple(int(axis) for axis in array.ravel())
        return given or None

    def plus_number(self, name: str) -> tuple[str, float] | None:
        """``a + number``: the tensor and the number."""
        add = self.maker(name, "Add")
        for one, other in _both_ways(add):
            eps = self.number(other)
            if eps is not None:
                return one, eps
        return None

    def square(self, name: str) -> str | None:
        """The tensor whose square another one is."""
        power = self.maker(name, "Pow")
        if power is not None and self.number(power.inputs[1]) == 2:
            return self.source(power.inputs[0])
        product = self.maker(name, "Mul")
        if product is not None and product.inputs[0] == product.inputs[1]:
            return self.source(product.inputs[0])
        return None

    # -- what follows ----------------------------------------------------------------------------

    def with_factors(self, node: Node, found: Found) -> tuple[Node, list[str]]:
        """The last node, with a product with a constant and then a sum with one that follow alone;
        the inputs: x, factors, addends."""
        inputs = [found.x]
        for op in ("Mul", "Add"):
            other = self._following_constant(node, op)
            if other is None:
                inputs.append("")
                continue
            node = self.after[node.outputs[0]]
            inputs.append(other)
        return node, inputs

    def _following_constant(self, node: Node, op: str) -> str | None:
        name = node.outputs[0]
        after = self.after.get(name)
        if after is None or after.op != op or self.readers[name] != 1 or len(after.inputs) != 2:
            return None
        other = next((each for each in after.inputs if each != name), "")
        return other if other in self.file.tensors or self.maker(other, "Constant") else None


Pattern = Callable[[Rewriter, Node], Found | None]


def standardized(seen: Rewriter, node: Node) -> Found | None:
    """``(x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps)``."""
    ratio = _ratio(seen, node)
    if ratio is None:
        return None
    above, root = ratio
    found = _centred(seen, above)
    inside = seen.plus_number(root)
    if found is None or inside is None:
        return None
    x, axes = found
    variance = seen.maker(inside[0], "ReduceMean")
    if variance is None or seen.axes(variance) != axes:
        return None
    squared = seen.square(variance.inputs[0])
    if squared is None or _centred(seen, squared) != found:
        return None
    return Found("Standardize", x, axes, inside[1])


def _centred(seen: Rewriter, name: str) -> tuple[str, tuple[int, ...]] | None:
    """The tensor that another one is without its mean, and the mean's axes."""
    minus = seen.maker(name, "Sub")
    if minus is None:
        return None
    x, mean = seen.source(minus.inputs[0]), seen.maker(minus.inputs[1], "ReduceMean")
    axes = seen.axes(mean)
    if mean is None or axes is None or seen.source(mean.inputs[0]) != x:
        return None
    return x, axes


def root_mean_square(seen: Rewriter, node: Node) -> Found | None:
    """``x / sqrt(mean(x^2) + eps)``."""
    ratio = _ratio(seen, node)
    inside = None if ratio is None else seen.plus_number(ratio[1])
    if ratio is None or inside is None:
        return None
    x, mean = seen.source(ratio[0]), seen.maker(inside[0], "ReduceMean")
    axes = seen.axes(mean)
    if mean is None or axes is None or seen.square(mean.inputs[0]) != x:
        return None
    return Found("RootMeanSquare", x, axes, inside[1])


def unit(seen: Rewriter, node: Node) -> Found | None:
    """``x / max(|x|, tiny)``, as torch.nn.functional.normalize writes it."""
    if node.op != "Div":
        return None
    x, below = seen.source(node.inputs[0]), node.inputs[1]
    spread = seen.maker(below, "Expand")
    shape: tuple[int, ...] = ()
    if spread is not None:
        below, to = spread.inputs[0], seen.maker(spread.inputs[1], "Shape")
        known = seen.constant(spread.inputs[1])
        if known is not None:
            shape = tuple(int(size) for size in known.ravel())
        elif to is None or seen.source(to.inputs[0]) != x or to.proto.attribute:
            return None
    least = seen.maker(below, "Clip", "Max")
    if least is not None:
        below, *rest = least.inputs
        bound = seen.number(rest[0]) if rest else least.number_of("min", 0.0)
        if len(rest) > 1 or least.number_of("max", inf) < inf:
            return None
        if bound is None or not 0 <= bound <= 1e-5:
            return None
    norm = seen.maker(below, "ReduceL2")
    axes = seen.axes(norm)
    if norm is None or axes is None or len(axes) != 1 or seen.source(norm.inputs[0]) != x:
        return None
    return Found("Unit", x, axes, 0.0, shape)


def grouped(seen: Rewriter, node: Node) -> Found | None:
    """``reshape(instance_norm(reshape(x)))``; the further inputs: what is behind the tensor of an
    InstanceNormalization, and both shapes."""
    norm = seen.maker(node.inputs[0], "InstanceNormalization") if node.op == "Reshape" else None
    view = None if norm is None else seen.maker(norm.inputs[0], "Reshape")
    if norm is None or view is None or len(norm.inputs) != 3 or len(view.inputs) != 2:
        return None
    if any(each.integer("allowzero", 0) for each in (node, view)):
        return None
    eps = norm.number_of("epsilon", 1e-5)
    more = (*norm.inputs[1:], view.inputs[1], node.inputs[1])
    return Found("Grouped", view.inputs[0], (), eps, more=more)


def _ratio(seen: Rewriter, node: Node) -> tuple[str, str] | None:
    """``a / sqrt(b)``, also as a product with the inverse: a and b."""
    if node.op == "Div":
        root = seen.maker(node.inputs[1], "Sqrt")
        return None if root is None else (node.inputs[0], root.inputs[0])
    if node.op != "Mul":
        return None
    for above, other in _both_ways(node):
        inverse = seen.maker(other, "Reciprocal", "Div", "Pow")
        if inverse is None:
            continue
        if inverse.op == "Pow":
            if seen.number(inverse.inputs[1]) == -0.5:
                return above, inverse.inputs[0]
            continue
        if inverse.op == "Div" and seen.number(inverse.inputs[0]) != 1:
            continue
        root = seen.maker(inverse.inputs[-1], "Sqrt")
        if root is not None:
            return above, root.inputs[0]
    return None


def _both_ways(node: Node | None) -> Sequence[tuple[str, str]]:
    """The two inputs in both orders."""
    if node is None or len(node.inputs) != 2:
        return ()
    a, b = node.inputs
    return ((a, b), (b, a))


def _is_copy(node: Node) -> bool:
    """Whether a node's result is its input, as far as float32 goes."""
    same = node.op == "Identity" or (node.op == "Cast" and node.integer("to", 0) in FLOAT)
    return same and len(node.inputs) == 1


def _made(last: Node, found: Found, inputs: Sequence[str]) -> Node:
    """One node in place of the last one."""
    proto = NodeProto(op_type=found.op, domain=OWN, name=last.name)
    proto.input.extend(inputs)
    proto.output.extend(last.outputs[:1])
    proto.attribute.append(helper.make_attribute("eps", found.eps))
    if found.axes:
        proto.attribute.append(helper.make_attribute("axes", found.axes))
    if found.spread:
        proto.attribute.append(helper.make_attribute("spread", found.spread))
    return Node.of(proto, last.number, last.file, last.opset)


def rewritten(file: OnnxFile) -> OnnxFile:
    """The file with what is one operator as one node."""
    return replace(file, nodes=Rewriter(file).nodes())
