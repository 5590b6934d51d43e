"""docs/records.md: the records of dynamic networks, out of their declarations.

``python -m bmnetu.supported.records > docs/records.md`` writes it.
"""

from __future__ import annotations

from inspect import getdoc

from dialects.bm1684.record.base import RecordOp
from dialects.bm1684.record.ops import ALL_OPS

HEAD = """\
# Records

A dynamic bmodel has no commands, but a stream of records, one a layer. This page is made out of the
declarations in `dialects/bm1684/record/`. What a user sees of it is in [dynamic.md](dynamic.md).

The stream is little endian, in words of 32 bits: the ids of the inputs, the ids of the outputs, the
number of groups, and the groups. A group of one record is a word 0 and 16 bytes (0x00010000; 255,
inputs, outputs, 0x22; 1, 0, 0, 0; the largest batch), the ids of its inputs, and of each output
`id << 16 | readers`. Then the record: type, size of the data (0 float32, 2 8 bit), store modes of
input and output (0 1N, 2 4N), bytes of the block, the block, its operands in their order, its
results. A tensor is `1, id` where it lies in the user's buffer, else `0, id` and its address (u64); a
coefficient is its address alone. The block is a C struct: offset, type and name of each parameter
below. Coefficients in brackets are there where the parameter says so.

"""


def page() -> str:
    """The page."""
    ops = sorted(ALL_OPS, key=lambda op: op.RECORD.number)
    return HEAD + "\n".join(map(_section, ops))


def _section(op: type[RecordOp]) -> str:
    record = op.RECORD
    names = [*record.tensors]
    names += [f"({n}, with {given})" if given else n for n, given in record.coefficients.items()]
    text = " ".join((getdoc(op) or "").split())
    block = record.struct.text() or "none"
    return (
        f"## {record.number} {op.name}\n\n{text}\n\n"
        f"Operands: {', '.join(names) or 'several tensors'}. Block, {record.struct.size} bytes:"
        f" {block}.\n"
    )


if __name__ == "__main__":
    print(page(), end="")
