"""What a compilation gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from bmnetu.bmodel import Bmodel, Tensor
from bmnetu.note import Note
from passes.verification.findings import Findings, TensorFinding


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"<{self.line()}>"

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


@dataclass(frozen=True, repr=False)
class CompileResult:
    """A compiled network, which prints as a few lines. ``bmodel`` is the file's path, None when the
    run stopped before the commands; ``layers`` is empty without the compare. ``umodel`` and
    ``prototxt`` are what the mode GenUmodel wrote. With dyn, ``free`` are the dimensions that are
    free at run time ("batch", "height", "width") with the largest size of each, ``steps`` the step
    in which it can be smaller, and ``fixed`` says of the others which layer fixes them. ``stages``:
    the results of all, where there are several; all else but ``contents`` is then the first's."""

    bmodel: Path | None
    net_name: str
    precision: str
    pipeline: str
    module: ModuleOp
    contents: Bmodel | None = None
    findings: Findings | None = None
    input_ref_data: Path | None = None
    output_ref_data: Path | None = None
    notes: tuple[Note, ...] = field(default=())
    umodel: Path | None = None
    prototxt: Path | None = None
    free: Mapping[str, int] = field(default_factory=dict[str, int])
    steps: Mapping[str, int] = field(default_factory=dict[str, int])
    fixed: Mapping[str, str] = field(default_factory=dict[str, str])
    stages: tuple[CompileResult, ...] = ()

    def __repr__(self) -> str:
        lines = [f'CompileResult: net "{self.net_name}", {self.precision}']
        if self.contents is not None:
            (net,) = self.contents.nets
            stages = list(net.stages)
            lines.append(f"bmodel: {self.bmodel}, {len(stages[0].coeff)} bytes of weights")
            for i, stage in enumerate(stages):
                which = f"stage {i} " if len(stages) > 1 else ""
                lines.append(f"{which}inputs: {listed(stage.inputs)}")
                lines.append(f"{which}outputs: {listed(stage.outputs)}")
            if stages[0].is_dynamic:
                lines.append(free_line(self))
        elif self.umodel is not None:
            lines += [f"umodel: {self.umodel}", f"prototxt: {self.prototxt}"]
        else:
            lines.append("bmodel: none")
        compare = "not compared" if self.findings is None else repr(self.findings)
        return "\n  ".join([*lines, compare])

    @property
    def layers(self) -> tuple[LayerResult, ...]:
        """One entry a layer, in the order of execution."""
        return () if self.findings is None else layers_of(self.findings)


SHOWN = 3
"""So many tensors are named of many."""


def listed(tensors: Sequence[Tensor]) -> str:
    """The first tensors with their types and shapes, and how many more there are."""
    words = [
        f"{each.name[:40]} {each.data_type.name.lower()} {'x'.join(map(str, each.shape))}"
        for each in tensors[:SHOWN]
    ]
    more = f" and {len(tensors) - SHOWN} more" if len(tensors) > SHOWN else ""
    return ", ".join(words) + more


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


def summary(findings: Findings, made_up: bool) -> tuple[str, list[Note]]:
    """What the compare found when it passed, on a made-up input or the user's own, and notes on
    what it left out."""
    worst = max((t.isolated.error for t in findings.tensors), default=0.0)
    line = (
        f"compare passed: {len(layers_of(findings))} layers, {len(findings.tensors)} tensors,"
        f" NPU against CPU, largest error {worst:g}"
    )
    if findings.smaller:
        line += f"; as well at {', '.join(each.at for each in findings.smaller)}"
    if not findings.undefined:
        return line, []
    notes = [
        Note(
            "undefined-numbers",
            f"the CPU has no finite number for {findings.undefined} elements (outside a layer's"
            " domain, beyond float32, or of regions that a host layer did not find), so they were"
            " not compared" + ("; -cmp_data=FILE compares on your own input" if made_up else ""),
        ),
    ]
    names = [f'"{t.top}"' for t in findings.unproved]
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        notes.append(Note(
            "nothing-compared",
            f"nothing is known of {', '.join(names[:SHOWN])}{more}: every element is undefined on"
            " this input",
        ))  # fmt: skip
    return f"{line}, {findings.undefined} undefined elements left out", notes


def free_line(result: CompileResult) -> str:
    """Which dimensions are free at run time."""
    named = [
        f"{name} up to {size}"
        + (f" in steps of {result.steps[name]}" if result.steps.get(name, 1) > 1 else "")
        for name, size in result.free.items()
    ]
    return f"free at run time: {', '.join(named) or 'nothing, every dimension is fixed'}"


def report_free(result: CompileResult, report: Callable[[str], None]) -> None:
    """Reports which dimensions are free, and of the others what fixes them."""
    report(free_line(result))
    for name, reason in result.fixed.items():
        report(Note("fixed-dimension", f"{name} is fixed: {reason}").line)


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
