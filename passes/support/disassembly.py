"""Commands as text."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp

from passes.module.functions import main_function
from passes.module.locations import location_text
from passes.support.encode import command_groups


def disassemble(module: ModuleOp) -> Iterator[str]:
    """One line a command: group, engine, id, the id it waits for, fields, then the layer and the
    tensors that are final after it. Raises PassFailedException when the module holds no
    commands."""
    for number, group in enumerate(command_groups(main_function(module))):
        for op in group.commands:
            inst = op.instruction
            tops = "".join(f" final={o.top}" for o in op.observations)
            text = inst.with_ids(0, 0).text()
            where = location_text(op.location)
            yield f"{number} {inst.engine:4} {inst.id:5} <{inst.wait:5} {text} ; {where}{tops}"
