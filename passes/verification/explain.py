"""What is said of a compare that failed: which command, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from dialects.bm1684.model import DeadlockError, ModelError, RaceError
from dialects.bm1684.npu import Observation
from dialects.constant import ConstantAttr
from dialects.execute import names_of
from passes.image.groups import Site, Sites
from passes.image.program import Program
from passes.module.locations import layer_name, location_text
from passes.verification.cause import Facts, cause_of
from passes.verification.explanation import Cause, Explanation
from passes.verification.pattern import Pattern
from passes.verification.trace import Trace, place_of, steps_of


@dataclass(frozen=True)
class Evidence:
    """The first bad tensor: its name, the op of the reference that makes it, and how it differs.
    ``observed``: the names of the tensors that are compared."""

    top: str
    index: tuple[int, ...]
    op: Operation
    pattern: Pattern
    observed: frozenset[str]

    def chain(self) -> Iterator[Operation]:
        """The op, and those before it whose results are seen only through it."""
        yield self.op
        for op in _makers(self.op):
            if not self.observed.intersection(names_of(op, "tops")):
                yield from Evidence(self.top, self.index, op, self.pattern, self.observed).chain()


def _makers(op: Operation) -> Iterator[Operation]:
    for value in op.operands:
        if isinstance(value.owner, Operation):
            yield value.owner


def explain_tensor(evidence: Evidence, varies: bool = False, trace: Traced | None = None
                   ) -> Explanation:
    """Why a tensor differs. ``varies``: it depends on memory that nothing has written."""
    chain = list(evidence.chain())
    constants = {
        name
        for op in chain
        for name, attribute in op.properties.items()
        if isinstance(attribute, ConstantAttr)
    }
    command, overlap = ("", "") if trace is None else trace.look(evidence, chain)
    facts = Facts(bool(constants - {"bias"}), "bias" in constants, varies, overlap)
    with np.errstate(all="ignore"):  # what is compared can hold any numbers
        cause = cause_of(evidence.pattern, facts)
        return Explanation(cause, evidence.pattern.places(), command)


@dataclass(frozen=True)
class Traced:
    """The run of a program: its commands in the order in which they ran, and what each leaves.
    ``shared``: what is known of buffers that share memory, a sentence each."""

    program: Program
    sites: Sites
    watched: Mapping[Site, tuple[Observation, ...]]
    order: Sequence[Site]
    shared: Sequence[str] = ()

    def look(self, evidence: Evidence, chain: Sequence[Operation]) -> tuple[str, str]:
        """Which command wrote the first wrong element, and which one overwrote what the layer
        reads or has made; "" where none did."""
        last = max(
            (i for i, site in enumerate(self.order)
             if any(at.top == evidence.top for at in self.watched.get(site, ()))),
            default=None,
        )  # fmt: skip
        if last is None:
            return "", ""
        trace = Trace(steps_of(self.program, self.sites, self.order[: last + 1]))
        own = {layer_name(op) for op in chain}
        layers = own | {layer_name(maker) for op in chain for maker in _makers(op)}
        command, overlap = "", self._shared(layers)
        for number in range(last + 1):
            for at in self.watched.get(self.order[number], ()):
                place = place_of(at, evidence.index) if at.top == evidence.top else None
                found = None if place is None else trace.last_writer(place, number + 1)
                if found is None:
                    continue
                step = trace.steps[found]
                command = f"the first wrong element was written by {step}"
                if step.layer not in layers:
                    overlap = overlap or f"{step} wrote over it before it was final"
                maker = trace.computed(found)
                if maker is not None:
                    command += f", which stores what {maker} has computed"
        return command, overlap

    def _shared(self, layers: set[str]) -> str:
        """The first overlap that one of these layers takes part in, or else any."""
        own = (x for x in self.shared if any(f'layer "{layer}"' in x for layer in layers))
        return next(own, next(iter(self.shared), ""))


def explain_error(error: ModelError, sites: Sites, reference: FuncOp) -> Explanation:
    """Why commands cannot be executed."""
    if isinstance(error, RaceError) and error.engine and None not in (error.group, error.id):
        group, number = error.group or 0, error.id or 0
        pair = [(group, *error.other), (group, error.engine, number)]
        (_, *early), (_, *late) = sorted(pair, key=sites.place)
        first, second = (_layer(sites, site) for site in sorted(pair, key=sites.place))
        cause = Cause(
            "missing wait",
            f"a missing wait: {late[0]} command {late[1]} ({second}) has to wait for"
            f" {early[0]} command {early[1]} ({first})"
        )
        if second != first and not _connected(reference, first, second):
            cause = Cause(cause.name, cause.phrase + ", or memory that two tensors share: neither"
                          " layer reads what the other makes")
        return Explanation(cause)
    if isinstance(error, DeadlockError):
        return Explanation(Cause("deadlock", "waits in a circle: each engine waits for a command of"
                                 " the other one that comes later"))
    return Explanation(Cause("illegal command", "a command with a field that the chip does not"
                             " take, or an address outside of its memory"))


def _layer(sites: Sites, site: Site) -> str:
    location = sites.location(*site)
    return "" if location is None else location_text(location).rpartition(": ")[2]


def _connected(reference: FuncOp, one: str, other: str) -> bool:
    """Whether one of two layers (``layer "NAME"``) reads what the other makes."""
    return any(
        {f'layer "{layer_name(op)}"', f'layer "{layer_name(maker)}"'} == {one, other}
        for op in reference.body.block.ops
        for maker in _makers(op)
    )
