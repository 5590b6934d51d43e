"""Float islands: which layers of a net stay float together."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation

from bmnetu.calibration.run.net import Node, messages_of
from bmnetu.errors import UsageError
from bmnetu.frontend import Network
from dialects.ufw.facts import CarriesOn
from dialects.ufw.layer import LayerOp


def keep_float(
    network: Network, inputs: Sequence[str], outputs: Sequence[str], blocks: Sequence[str]
) -> None:
    """Marks ``forward_with_float`` in the messages of what -fpfwd_inputs, -fpfwd_outputs and
    -fpfwd_blocks name: layers, and inputs of the net.

    Raises :class:`UsageError` for a name that no layer has.
    """
    messages = messages_of(network)
    named = [(message.name, node) for node, message in messages.items()]
    for node in _named(
        named,
        ("fpfwd_inputs", inputs, _before),
        ("fpfwd_outputs", outputs, _after),
        ("fpfwd_blocks", blocks, carried),
    ):
        messages[node].forward_with_float = True


def _named(
    named: Sequence[tuple[str, Node]],
    *flags: tuple[str, Sequence[str], Callable[[Node], Iterable[Node]]],
) -> set[Node]:
    found: set[Node] = set()
    for flag, names, next_to in flags:
        for name in names:
            nodes = [node for each, node in named if each == name]
            if not nodes:
                raise UsageError(f"-{flag}={name}: {_no_layer(name, [n for n, _ in named])}")
            found |= _reached(nodes, next_to)
    return found


def block_of(node: Node) -> set[Node]:
    """A layer and what follows it up to the next layer that computes."""
    return _reached([node], carried)


def blocks(layers: Iterable[LayerOp]) -> list[list[LayerOp]]:
    """All layers, in their order, as blocks: each begins with a layer that computes, or with one
    that reads an input of the net."""
    found: dict[Node | Block, list[LayerOp]] = {}
    for op in layers:
        before = found.get(op.operands[0].owner) if _carries_on(op) else None
        found[op] = [] if before is None else before
        found[op].append(op)
    return [block for op, block in found.items() if block[0] is op]


def carried(node: Node) -> list[Node]:
    """The layers that belong to the one before them, among those that read it."""
    return [each for each in _after(node) if isinstance(each, Operation) and _carries_on(each)]


def _carries_on(op: Operation) -> bool:
    """Whether a layer belongs to the one before it. All others compute anew."""
    return op.has_trait(CarriesOn) and len(op.operands) == 1


def _before(node: Node) -> list[Node]:
    operands = node.operands if isinstance(node, Operation) else ()
    return [value if isinstance(value.owner, Block) else value.owner for value in operands]


def _after(node: Node) -> list[Node]:
    values = node.results if isinstance(node, Operation) else (node,)
    readers = [use.operation for value in values for use in value.uses]
    return [op for op in readers if not isinstance(op, ReturnOp)]


def _reached(nodes: Iterable[Node], next_to: Callable[[Node], Iterable[Node]]) -> set[Node]:
    found: set[Node] = set()
    left = list(nodes)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += next_to(node)
    return found


def _no_layer(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, dict.fromkeys(known), n=3)
    hint = f"near are {', '.join(near)}" if near else f"the first is {known[0]}"
    return f"the net has no layer of this name; {hint}"
