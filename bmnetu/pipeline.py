"""Pipelines of passes: as text, and their run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.ir import Dialect
from xdsl.passes import ModulePass, PassPipeline

from bmnetu import plugins
from dialects.bm1684.npu import NPU
from dialects.bm1684.record.ops import RECORD
from dialects.bm1684.tile import TILE
from dialects.constant import CONSTANT
from dialects.host.ops import HOST
from dialects.quant import QUANT
from dialects.ufw.ops import UFW
from passes import PASS_NAMES, load_pass

DIALECTS: tuple[Dialect, ...] = (Builtin, Func, CONSTANT, UFW, HOST, QUANT, TILE, NPU, RECORD)


def all_dialects() -> tuple[Dialect, ...]:
    """Our dialects and those of plug-ins."""
    return (*DIALECTS, *plugins.dialects())


def known_passes() -> dict[str, Callable[[], type[ModulePass]]]:
    """What loads a pass, by its name: our passes and those of plug-ins."""
    known = {name: partial(load_pass, name) for name in PASS_NAMES}
    return {**known, **{item.name: partial(_same, item) for item in plugins.passes()}}


def _same(item: type[ModulePass]) -> type[ModulePass]:
    return item


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _value(value: str | int | bool | float) -> str:
    if isinstance(value, str):
        return _quoted(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def pass_text(item: ModulePass) -> str:
    """A pass and those of its options that are not the default: ``name{option=1 other="a","b"}``.

    xDSL's own text of a pass leaves quotes and backslashes in names as they are, which cannot be
    read back.
    """
    options = [
        f"{name.replace('_', '-')}={','.join(map(_value, values))}"
        for name, values in item.spec().parameters.items()
    ]
    return item.name + (f"{{{' '.join(options)}}}" if options else "")


def pipeline_text(passes: Sequence[ModulePass]) -> str:
    """Passes as text for ``bmnetu-opt -p``; :func:`parse_pipeline` gives equal ones back."""
    return ",".join(map(pass_text, passes))


def new_context() -> Context:
    """A context that knows all dialects."""
    context = Context()
    for dialect in all_dialects():
        context.load_dialect(dialect)
    return context


def parse_pipeline(text: str) -> tuple[ModulePass, ...]:
    """The passes of a pipeline's text; none for an empty one."""
    if not text:
        return ()
    known = known_passes()
    return PassPipeline.parse_spec(known, text).passes


def run_pipeline(
    module: ModuleOp,
    passes: Sequence[ModulePass],
    after: Callable[[ModulePass], None] = lambda item: None,
    *,
    before: Callable[[ModulePass], None] = lambda item: None,
    verify: bool = True,
) -> None:
    """Runs the passes in turn, ``before`` and ``after`` around each; with ``verify`` the module is
    verified before and after its level changes."""
    context = new_context()
    for item in passes:
        before(item)
        converts = verify and item.name.startswith("convert-")
        if converts:
            module.verify()
        item.apply(context, module)
        if converts:
            module.verify()
        after(item)
