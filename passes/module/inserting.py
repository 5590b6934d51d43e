"""New quant ops in place of one."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Attribute, SSAValue

from dialects.quant.base import QuantOp


def inserted(
    before: QuantOp,
    kind: type[QuantOp],
    operands: Sequence[SSAValue | Sequence[SSAValue]],
    result: Attribute,
    step: str,
    /,
    **properties: Attribute | None,
) -> SSAValue:
    """The result of a new op of the same layer, which stands before another one. It is called
    ``step`` of that one's top. Without a step it has the tops among the properties, or else is what
    the other one was: with its tops and what is known of them, the order of channels, say."""
    same = not step and "tops" not in properties
    if step:
        properties["tops"] = ArrayAttr([StringAttr(f"{before.top}/{step}")])
    properties.setdefault("tops", before.tops)
    made = kind.build(operands=list(operands), result_types=[result], properties=properties)
    made.location = before.location
    if same:
        made.attributes.update(before.attributes)
    block = before.parent
    assert block is not None
    block.insert_op_before(made, before)
    return made.results[0]
