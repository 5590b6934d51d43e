"""What a compilation ends with: a table for people, JSON for machines."""

from __future__ import annotations

from typing import Any

from bmnetu.bmodel import Stage, Tensor
from bmnetu.report.profile import Profile, profile
from bmnetu.report.result import CompileResult, listed
from dialects.bm1684.cycles import ScheduleError


def table(result: CompileResult) -> list[str]:
    """A line a fact: the file, each stage's inputs and outputs, its time by the cost model. Empty
    where no bmodel was made."""
    if result.contents is None or result.bmodel is None:
        return []
    rows = [
        ("net", f'"{result.net_name}", {result.precision}'),
        ("bmodel", f"{result.bmodel}, {result.bmodel.stat().st_size:,} bytes"),
    ]
    stages = result.contents.nets[0].stages
    for number, (stage, cost) in enumerate(zip(stages, _costs(result), strict=True)):
        which = f"stage {number} " if len(stages) > 1 else ""
        rows += [(f"{which}inputs", listed(stage.inputs))]
        rows += [(f"{which}outputs", listed(stage.outputs))]
        if cost is not None:
            milliseconds = cost.total.cycles / cost.mhz / 1e3
            rows += [(f"{which}time", f"{cost.total.cycles:,} cycles, {milliseconds:.3f} ms by the"
                      " cost model")]  # fmt: skip
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def record(result: CompileResult) -> dict[str, Any]:
    """The same, and each layer's compare, as plain values for JSON."""
    found: dict[str, Any] = {
        "net": result.net_name,
        "precision": result.precision,
        "pipeline": result.pipeline,
        "bmodel": None if result.bmodel is None else str(result.bmodel),
    }
    if result.contents is not None:
        results = result.stages or (result,)
        stages = result.contents.nets[0].stages
        found["stages"] = [
            _stage(stage, each, cost)
            for stage, each, cost in zip(stages, results, _costs(result), strict=True)
        ]
    return found


def _stage(stage: Stage, result: CompileResult, cost: Profile | None) -> dict[str, Any]:
    return {
        "inputs": [_record(tensor) for tensor in stage.inputs],
        "outputs": [_record(tensor) for tensor in stage.outputs],
        "weight_bytes": len(stage.coeff),
        "neuron_bytes": stage.context_size,
        "cycles": None if cost is None else cost.total.cycles,
        "layers": [
            {"name": layer.name, "ok": layer.ok, "isolated": layer.isolated,
             "accumulated": layer.accumulated, "undefined": layer.undefined}
            for layer in result.layers
        ],
    }  # fmt: skip


def _record(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.data_type.name.lower(),
            "shape": tensor.shape, "scale": tensor.scale}  # fmt: skip


def _costs(result: CompileResult) -> list[Profile | None]:
    """What each stage costs; None where the chip makes its commands, or they could not run."""
    return [_cost(each) for each in result.stages or (result,)]


def _cost(result: CompileResult) -> Profile | None:
    assert result.contents is not None
    if result.contents.nets[0].stages[0].is_dynamic:
        return None
    try:
        return profile(result.module)
    except ScheduleError:
        return None
