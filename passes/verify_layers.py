"""verify-layers: the NPU must compute what the CPU computes, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import LocationAttr, ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684 import tile
from dialects.bm1684.model import ModelError, Npu
from dialects.bm1684.npu import Observation
from passes.image.groups import Site, Sites
from passes.image.program import Program
from passes.image.tensors import NetworkTensor, network_tensors
from passes.module.functions import main_function, reference_module
from passes.module.locations import location_text
from passes.verification.findings import Difference, Findings
from passes.verification.inputs import InputData, InputTensor
from passes.verification.npu import Parts, execute, read_tensor
from passes.verification.reference import ReferenceRun

Array = NDArray[Any]
NOISE = (20251, 48611)
"""Seeds of the two noises that fill unwritten memory."""


def verify_program(
    module: ModuleOp,
    program: Program,
    findings: Findings,
    data: InputData | None = None,
    seed: int = 0,
) -> None:
    """Runs ``program`` on the NPU model beside the module's reference and records what it finds.

    The module is at the npu level with its ``@reference``; the program may come from a file.
    Commands are executed twice, on two different noises: what then differs depends on unwritten
    memory. ``data`` is the network's input, ``seed`` that of a made-up one.
    """
    function, reference = main_function(module), reference_module(module)
    if reference is None:
        raise PassFailedException("there is no @reference: run keep-reference first")
    tensors = network_tensors(function, tile.InputOp)
    for tensor in (*tensors, *function_outputs(module)):
        if not program.holds(tensor):
            raise PassFailedException(f'"{tensor.name}" lies outside the network\'s memory')
    required = [InputTensor(t.name, t.shape, np.dtype(t.dtype), t.scale) for t in tensors]
    given = (data or InputData()).of(required, seed)
    findings.inputs = given
    sites = Sites.of(function)
    watched = sites.observations()
    walker = ReferenceRun(
        main_function(reference),
        given,
        {o.top for many in watched.values() for o in many},
        findings.add,
    )
    digests: dict[Observation, bytes] = {}
    parts = Parts(findings.fail)

    def first(site: Site, npu: Npu) -> None:
        for at in watched.get(site, ()):
            value = read_tensor(npu, at)
            digests[at] = _digest(value)
            whole = parts.add(at, value)
            if whole is not None:
                walker.observe(at.top, whole)

    def second(site: Site, npu: Npu) -> None:
        for at in watched.get(site, ()):
            if digests.get(at) != _digest(read_tensor(npu, at)):
                where = sites.location(*site)
                _fail(
                    findings, where, f'tensor "{at.top}" depends on memory that nothing has written'
                )

    memory = {t: given[t.name] for t in tensors}
    try:
        npu = execute(program, memory, NOISE[0], first)
        _check_outputs(function_outputs(module), walker, npu, findings)
        if findings.ok:
            execute(program, memory, NOISE[1], second)
    except ModelError as error:
        where = None
        if error.group is not None and error.engine is not None and error.id is not None:
            where = sites.location(error.group, error.engine, error.id)
        _fail(findings, where, str(error))


def function_outputs(module: ModuleOp) -> list[NetworkTensor]:
    """The network's outputs."""
    return network_tensors(main_function(module), tile.OutputOp)


def _digest(value: Array) -> bytes:
    return blake2b(np.ascontiguousarray(value).view(np.uint8).data, digest_size=16).digest()


def _fail(findings: Findings, where: LocationAttr | None, sentence: str) -> None:
    place = f"{location_text(where)}: " if where is not None else ""
    findings.fail(place + sentence)


def _check_outputs(
    outputs: list[NetworkTensor], walker: ReferenceRun, npu: Npu, findings: Findings
) -> None:
    """The outputs must still hold at the end what they held when they became final (within the
    tolerance: an output may have another name than the tensor that was observed)."""
    late = walker.missing()
    if late is not None:
        findings.fail(f'tensor "{late}" was never computed')
        return
    for output, expected in zip(outputs, walker.results(), strict=True):
        value = read_tensor(npu, output.observation())
        findings.outputs[output.name] = value
        differs = bool(Difference.between(value, expected.array, expected.undefined).index)
        if differs and findings.first_bad is None:
            findings.fail(f'output "{output.name}" was overwritten after it was final')


@dataclass(frozen=True)
class VerifyLayersPass(ModulePass):
    """Executes the commands' bytes on the NPU model and compares every tensor with the CPU
    reference.

    Before: npu ops with ids, and ``@reference``. After: the same; ``findings`` holds what was
    found. A driver sets ``findings.on_tensor`` and reads the verdict; without one a difference is
    an error. It may fill ``data``, the network's input; else one is made up.
    """

    name = "verify-layers"
    level = "npu"

    seed: int = 0
    findings: Findings = field(default_factory=Findings, init=False, compare=False, repr=False)
    data: InputData = field(default_factory=InputData, init=False, compare=False, repr=False)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        program = Program.of(main_function(op))
        verify_program(op, program, self.findings, self.data, self.seed)
        if self.findings.fatal and not self.findings.ok:
            raise PassFailedException(self.findings.verdict())
