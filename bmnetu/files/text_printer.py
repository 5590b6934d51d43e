"""Prints IR as text that reads well and is printed fast."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from xdsl.ir import Attribute, Operation
from xdsl.printer import Printer

from dialects.bm1684.layout import alias_name, is_tile_memref


@dataclass(eq=False, repr=False)
class TextPrinter(Printer):
    """xDSL's printer with aliases for the memref types of the tile level, so that a line fits a
    screen. It writes a string at once and not letter by letter."""

    aliases: dict[int, str] = field(default_factory=dict[int, str], init=False)
    """The aliases by the identity of the types, which are many objects of few values."""

    def print_with_aliases(self, op: Operation) -> None:
        """An op, and before it the aliases that it uses, a line each."""
        names: dict[Attribute, str] = {}
        used: Counter[str] = Counter()
        for inner in op.walk():
            for value in (*inner.operands, *inner.results):
                if id(value.type) not in self.aliases and is_tile_memref(value.type):
                    if value.type not in names:
                        name = alias_name(value.type)
                        used[name] += 1
                        name += f"_{used[name]}" if used[name] > 1 else ""
                        self.print_string(f"{name} = ")
                        self.print_attribute(value.type)
                        self.print_string("\n")
                        names[value.type] = name
                    self.aliases[id(value.type)] = names[value.type]
        self.print_op(op)

    def print_attribute(self, attribute: Attribute) -> None:
        alias = self.aliases.get(id(attribute))
        if alias is None:
            super().print_attribute(attribute)
        else:
            self.print_string(alias)

    def print_bytes_literal(self, bytestring: bytes) -> None:
        text = _ESCAPED.sub(_escape, bytestring.decode("latin-1"))
        self.print_string(f'"{text}"')


_ESCAPED = re.compile(r'[^ -~]|["\\]')


def _escape(match: re.Match[str]) -> str:
    return "\\\\" if match[0] == "\\" else f"\\{ord(match[0]):02X}"
