"""What the page of a compilation says first: passed or failed and why, time, memory, size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bmnetu.options import CompileOptions
from bmnetu.report.html.network import INPUT, Node
from bmnetu.report.html.page import Figure, Verdict
from bmnetu.report.numbers import digits, percent
from bmnetu.report.profile import Profile
from bmnetu.report.result import layers_of, summary
from dialects.bm1684.cycles import SLOW_DDR
from passes.verification.findings import Findings


def verdict(name: str, findings: Findings | None, made_up: bool) -> Verdict:
    """``findings`` is None without the compare; ``made_up``: its input was."""
    if findings is None:
        said = "The NPU's results were not compared with the CPU's (-cmp=false)."
        return Verdict(None, f"{name}: compiled, not compared", [said])
    if findings.ok:
        line, notes = summary(findings, made_up)
        head = f"{name}: passed, the NPU computes what the CPU computes"
        return Verdict(True, head, [f"{line[0].upper()}{line[1:]}." for line in (line, *notes)])
    first, head = findings.first_bad, f"{name}: failed"
    if first is not None:
        head += f', layer "{first.layer}" is the first that differs from the CPU'
    lines = [findings.verdict() + "."]
    if findings.explained is not None:
        lines += [f"{line[0].upper()}{line[1:]}." for line in findings.explained.lines()]
    layers = layers_of(findings)
    bad = sum(not each.ok for each in layers)
    if bad:
        lines.append(
            f"{bad} of {len(layers)} compared layers differ by themselves. A layer that only reads"
            " wrong numbers has a small isolated error and a large accumulated one."
        )
    lines.append(
        "No bmodel was stored (exit code 5). This is a fault of the compiler: send this page with"
        " the model."
    )
    return Verdict(False, head, lines)


def cost_figures(
    costs: Profile, memory: Mapping[str, Any], nodes: Sequence[Node]
) -> Iterator[Figure]:
    """Time and memory."""
    total, sizes = costs.total, memory["ddr"]["sizes"]
    batch = nodes[0].outputs[0].shape[0] if nodes and nodes[0].outputs[0].shape else 1
    slow = costs.slow_ddr_cycles / costs.mhz / 1e3
    yield (
        "Estimated time",
        f"{digits(costs.milliseconds)} ms",
        f"batch {batch}; {total.cycles:,} cycles at {costs.mhz:g} MHz; {digits(slow)} ms with DDR"
        f" at {100 * SLOW_DDR:.0f} % of its rate. A cost model, no measurement",
    )
    use = total.needed_cycles / max(1, total.cycles)
    yield "Multipliers used", percent(use), f"{total.macs:,} products"
    yield (
        "Local memory, peak",
        size_text(memory["peak"]),
        f"of {size_text(memory['lane_bytes'])} in each of {memory['lanes']} lanes",
    )
    yield (
        "DDR",
        size_text(memory["ddr"]["total"]),
        f"{size_text(sizes['coefficients'])} of them coefficients;"
        f" {size_text(total.ddr_read + total.ddr_written)} moved in a run",
    )


def file_figures(
    options: CompileOptions, nodes: Sequence[Node], bmodel: bytes | None
) -> Iterator[Figure]:
    """The bmodel, None where it was not stored, and the layers."""
    path = options.outdir / "compilation.bmodel"
    yield (
        ("bmodel", "not stored", "") if bmodel is None
        else ("bmodel", size_text(len(bmodel)), str(path))
    )  # fmt: skip
    layers = [node for node in nodes if node.kind != INPUT]
    host = sum(node.on_host for node in layers)
    said = f"{len(layers) - host} on the NPU, {host} on the CPU; {options.prec}, opt {options.opt}"
    yield "Layers", str(len(layers)), said


def size_text(size: int) -> str:
    """Bytes in the unit that gives a short number."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{digits(size / factor) if size % factor else size // factor} {unit}"
    return f"{size} bytes"
