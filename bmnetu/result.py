"""What a compilation gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bmnetu.bmodel import Bmodel
from passes.verification.findings import Findings, TensorFinding


@dataclass(frozen=True)
class LayerResult:
    """The compare of one layer: its largest isolated and accumulated error over all its tensors.

    Errors of 8-bit tensors are in integer steps, of float tensors relative to max(1, |cpu|).
    """

    name: str
    where: str
    ok: bool
    isolated: float
    accumulated: float
    dtype: str
    tensors: tuple[TensorFinding, ...]


@dataclass(frozen=True)
class CompileResult:
    """A compiled network. ``bmodel`` is the file's path, None when the run stopped before the
    commands; ``layers`` is empty without the compare."""

    bmodel: Path | None
    net_name: str
    precision: str
    pipeline: str
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
            ok=all(t.ok for t in tensors),
            isolated=max(t.isolated.error for t in tensors),
            accumulated=max(t.accumulated.error for t in tensors),
            dtype=tensors[-1].dtype,
            tensors=tuple(tensors),
        )
        for (name, where), tensors in gathered.items()
    )
