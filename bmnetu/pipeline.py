"""The opt levels as data, and the run of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.ir import Dialect
from xdsl.passes import ModulePass, PassPipeline

from dialects.blob import BLOB
from dialects.bm1684.npu import NPU
from dialects.bm1684.tile import TILE
from dialects.quant import QUANT
from dialects.ufw.ops import UFW
from passes import ALL_PASSES

DIALECTS: tuple[Dialect, ...] = (Builtin, Func, BLOB, UFW, QUANT, TILE, NPU)
LEVELS = ("ufw", "quant", "tile", "npu")


@dataclass(frozen=True)
class OptLevel:
    """What one opt level runs at each of the four levels. ``ufw`` depends on the precision."""

    ufw: dict[str, str]
    quant: dict[str, str]
    tile: str
    npu: str


KEEP_BEFORE = {"FP32": "keep-reference", "INT8": ""}
KEEP_AFTER = {"FP32": "", "INT8": "keep-reference"}
FUSED = {"FP32": "keep-reference,ufw-fold-batch-norm", "INT8": ""}
OVERLAPPED = OptLevel(
    ufw=FUSED,
    quant={"FP32": "quant-fuse-relu", "INT8": "keep-reference,quant-merge-groups"},
    tile=("convert-quant-to-tile{share=2},tile-allocate-ddr,tile-allocate-local{overlap=true}"),
    npu="npu-hoist-loads,npu-assign-waits",
)
OPT_LEVELS: dict[int, OptLevel] = {
    0: OptLevel(
        ufw=KEEP_BEFORE,
        quant=KEEP_AFTER,
        tile="convert-quant-to-tile,tile-allocate-ddr,tile-allocate-local",
        npu="npu-assign-waits{serial=true}",
    ),
    1: OVERLAPPED,
    2: replace(
        OVERLAPPED,
        quant={
            "FP32": "quant-fuse-relu,quant-slice-batch,quant-slice-rows",
            "INT8": (
                "keep-reference,quant-merge-groups,"
                "quant-slice-batch,quant-slice-rows,quant-cut-strips"
            ),
        },
        tile=(
            "convert-quant-to-tile{share=2 whole=true fold=true},tile-keep-local,"
            "tile-allocate-ddr,tile-allocate-local{overlap=true}"
        ),
    ),
}


def _convert(float_inputs: Sequence[str], float_outputs: Sequence[str]) -> str:
    options = [
        f"{name}={','.join(quote(v) for v in values)}"
        for name, values in (("float-inputs", float_inputs), ("float-outputs", float_outputs))
        if values
    ]
    return "convert-ufw-to-quant" + (f"{{{' '.join(options)}}}" if options else "")


def _winograd_options(use_wino: bool, seed: int) -> str:
    if not use_wino:
        return f"{{seed={seed}}}" if seed else ""
    return f"{{everywhere=true seed={seed}}}" if seed else "{everywhere=true}"


def quote(text: str) -> str:
    """A string as a pass option."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def pipeline_text(
    opt: int,
    precision: str,
    float_inputs: Sequence[str] = (),
    float_outputs: Sequence[str] = (),
    stop_after: str | None = None,
    *,
    use_wino: bool = False,
    verify: bool = False,
    seed: int = 0,
) -> str:
    """The pipeline of an opt level as text for ``bmnetu-opt -p``; it ends at level
    ``stop_after``.
    """
    level = OPT_LEVELS[opt]
    parts = {
        "ufw": [level.ufw[precision]],
        "quant": [
            _convert(float_inputs, float_outputs),
            "quant-choose-winograd" + _winograd_options(use_wino, seed),
            level.quant[precision],
        ],
        "tile": [level.tile],
        "npu": ["convert-tile-to-npu", level.npu],
    }
    last = LEVELS.index(stop_after or "npu")
    words = [word for name in LEVELS[: last + 1] for word in parts[name] if word]
    if verify and last == len(LEVELS) - 1:
        words.append(f"verify-layers{{seed={seed}}}" if seed else "verify-layers")
    return ",".join(words)


def new_context() -> Context:
    """A context that knows all our dialects."""
    context = Context()
    for dialect in DIALECTS:
        context.load_dialect(dialect)
    return context


def parse_pipeline(text: str) -> tuple[ModulePass, ...]:
    """The passes of a pipeline's text."""
    known = {p.name: (lambda p=p: p) for p in ALL_PASSES}
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
    verified where its level changes.
    """
    context = new_context()
    for item in passes:
        before(item)
        item.apply(context, module)
        if verify and item.name.startswith("convert-"):
            module.verify()
        after(item)
