"""What a compilation gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from bmnetu.bmodel import Bmodel
from passes.verification.findings import Findings, TensorFinding


@dataclass(frozen=True)
class LayerResult:
    """The compare of one layer: its largest isolated and accumulated error over all its tensors.

    Errors of 8-bit tensors are in integer steps, of float tensors relative to max(1, |cpu|).
    """

    name: str
    where: str
    tensors: tuple[TensorFinding, ...]

    @property
    def ok(self) -> bool:
        """Whether every tensor is as it must be."""
        return all(t.ok for t in self.tensors)

    @property
    def isolated(self) -> float:
        """The largest error with the reference fed by the NPU's own inputs."""
        return max(t.isolated.error for t in self.tensors)

    @property
    def accumulated(self) -> float:
        """The largest error against the reference run from the network's inputs on."""
        return max(t.accumulated.error for t in self.tensors)

    @property
    def undefined(self) -> int:
        """How many elements were not compared: the CPU leaves them undefined (NaN, an infinity)."""
        return sum(t.undefined for t in self.tensors)

    @property
    def dtype(self) -> str:
        """Element type of the layer's last tensor."""
        return self.tensors[-1].dtype

    def line(self) -> str:
        """The layer's line in the log."""
        last = self.tensors[-1]
        exact = all(t.dtype != "float32" for t in self.tensors) and self.isolated == 0
        error = "equal" if exact else f"isolated {self.isolated:.3g}"
        if self.accumulated != self.isolated:
            error += f", accumulated {self.accumulated:.3g}"
        size = sum(t.size for t in self.tensors)
        if self.undefined:
            error += f", {self.undefined} of {size} elements are undefined on the CPU"
        shape = "x".join(map(str, last.shape))
        verdict = "ok  " if self.ok else "FAIL"
        if self.undefined == size:
            verdict, error = "none", f"nothing compared, all {size} elements are undefined"
        return f"NPU=CPU {verdict} {self.name} -> {last.top} {last.dtype} {shape}: {error}"


@dataclass(frozen=True)
class CompileResult:
    """A compiled network. ``bmodel`` is the file's path, None when the run stopped before the
    commands; ``layers`` is empty without the compare."""

    bmodel: Path | None
    net_name: str
    precision: str
    pipeline: str
    module: ModuleOp
    contents: Bmodel | None = None
    findings: Findings | None = None
    input_ref_data: Path | None = None
    output_ref_data: Path | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def layers(self) -> tuple[LayerResult, ...]:
        """One entry a layer, in the order of execution."""
        return () if self.findings is None else layers_of(self.findings)


def layers_of(findings: Findings) -> tuple[LayerResult, ...]:
    """Tensors gathered by layer."""
    gathered: dict[tuple[str, str], list[TensorFinding]] = {}
    for tensor in findings.tensors:
        gathered.setdefault((tensor.layer, tensor.where), []).append(tensor)
    return tuple(
        LayerResult(
            name=name,
            where=where,
            tensors=tuple(tensors),
        )
        for (name, where), tensors in gathered.items()
    )


UNDEFINED_SHOWN = 3
"""So many tensors of which nothing is known are named."""


def summary(findings: Findings, made_up: bool) -> list[str]:
    """What the compare found when it passed, on a made-up input or the user's own: a line, and
    notes on what it left out."""
    worst = max((t.isolated.error for t in findings.tensors), default=0.0)
    line = (
        f"compare passed: {len(layers_of(findings))} layers, {len(findings.tensors)} tensors,"
        f" NPU against CPU, largest error {worst:g}"
    )
    if not findings.undefined:
        return [line]
    lines = [
        f"{line}, {findings.undefined} undefined elements left out",
        f"note: the CPU has no finite number for {findings.undefined} elements (outside a layer's"
        " domain, or beyond float32), so they were not compared"
        + ("; -cmp_data=FILE compares on your own input" if made_up else ""),
    ]
    names = [f'"{t.top}"' for t in findings.unproved]
    if names:
        more = f" and {len(names) - UNDEFINED_SHOWN} more" if len(names) > UNDEFINED_SHOWN else ""
        lines.append(
            "note: nothing is known of " + ", ".join(names[:UNDEFINED_SHOWN]) + more
            + ": every element is undefined on this input"
        )
    return lines


class LayerLines:
    """Reports a line a layer, once all its tensors are final."""

    def __init__(self, report: Callable[[str], None]):
        self.report = report
        self.tensors: list[TensorFinding] = []

    def add(self, tensor: TensorFinding) -> None:
        """One more tensor; the layer before it is complete."""
        if self.tensors and self.tensors[-1].layer != tensor.layer:
            self.flush()
        self.tensors.append(tensor)

    def flush(self) -> None:
        """Reports what has come in."""
        if self.tensors:
            last = self.tensors[-1]
            self.report(LayerResult(last.layer, last.where, tuple(self.tensors)).line())
        self.tensors = []
