"""verify-layers: the NPU must compute what the CPU computes, layer by layer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import LocationAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684.model import ModelError, Npu
from dialects.bm1684.npu import Observation
from dialects.execute import names_of
from dialects.host.base import HostOp, defined_part
from passes.base import ComparePass
from passes.image.groups import Site, Sites
from passes.image.host import host_op
from passes.image.program import Program, module_tensors
from passes.image.tensors import NetworkTensor
from passes.module.functions import (
    SHARED,
    functions,
    main_function,
    named_inputs,
    npu_functions,
    reference_module,
    runs_on_host,
)
from passes.module.locations import location_text
from passes.verification.explain import Traced, explain_error, explain_tensor
from passes.verification.explanation import UNWRITTEN, Explanation, shared_memory
from passes.verification.findings import Difference, Findings
from passes.verification.host import HostError
from passes.verification.inputs import InputData, InputTensor
from passes.verification.npu import Parts, execute, in_network, read_tensor
from passes.verification.reference import ReferenceRun

Array = NDArray[Any]
NOISE = (20251, 48611)
"""Seeds of the two noises that fill unwritten memory."""
COPIES = 4
"""How many times the network's memory the compare holds at least: the NPU's, that of the reference,
and what is compared."""


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
    memory. ``data`` is the network's input, ``seed`` that of a made-up one. Raises MemoryError
    where this machine cannot hold it all, before the system ends the process for that.
    """
    if COPIES * program.ddr_bytes > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise MemoryError
    reference = reference_module(module)
    if reference is None:
        raise PassFailedException("there is no @reference: run keep-reference first")
    tensors, outputs = module_tensors(module)
    for tensor in (*tensors, *outputs):
        if not program.holds(tensor):
            raise PassFailedException(f'"{tensor.name}" lies outside the network\'s memory')
    required = [InputTensor(t.name, t.shape, np.dtype(t.dtype), t.scale) for t in tensors]
    given = (data or InputData()).of(required, seed)
    if data is None or not data.arrays:
        given |= _of_host_layers(main_function(reference), given, seed)
    findings.inputs = given
    sites, layers = Sites.of(module), host_layers(module)
    watched = sites.observations()
    tops = {o.top for many in watched.values() for o in many}
    tops |= {top for op in layers.values() for top in op.top_names}
    left = [Counter(chain.from_iterable(watched.values())) for _ in NOISE]
    walker = ReferenceRun(main_function(reference), given, tops, findings.add)
    digests: dict[object, bytes] = {}
    made: dict[str, Array] = {}
    order: list[Site] = []
    parts = Parts(findings.fail)

    def final(site: Site, left: Counter[Observation]) -> list[Observation]:
        """The tensors that this command was the last one to write."""
        left.subtract(watched.get(site, ()))
        return [at for at in watched.get(site, ()) if not left[at]]

    def first(site: Site, npu: Npu) -> None:
        order.append(site)
        for at in final(site, left[0]):
            value = read_tensor(npu, at)
            digests[at] = _digest(value)
            whole = parts.add(at, value)
            if whole is not None:
                walker.observe(at.top, in_network(at, whole))

    def first_host(place: int, results: list[Array]) -> None:
        digests[place] = b"".join(map(_digest, results))
        call = program.calls[place]
        for tensor, value in zip(call.outputs, results, strict=True):
            made[tensor.name] = defined_part(value)
        for top, value in zip(layers[place].top_names, results, strict=True):
            walker.observe(top, value)

    def second(site: Site, npu: Npu) -> None:
        for at in final(site, left[1]):
            if digests.get(at) != _digest(read_tensor(npu, at)):
                _fail(findings, sites.location(*site), _unwritten(at.top))

    def second_host(place: int, results: list[Array]) -> None:
        if digests.get(place) != b"".join(map(_digest, results)):
            _fail(findings, layers[place].location, _unwritten(layers[place].top_names[0]))

    memory = {t: given[t.name] for t in tensors}
    try:
        npu = execute(program, memory, NOISE[0], first, first_host)
        _check_outputs(outputs, walker, npu, made, findings)
        if findings.ok:
            execute(program, memory, NOISE[1], second, second_host)
            if findings.failure is not None:
                findings.explanation = UNWRITTEN
    except HostError as error:
        _fail(findings, layers[error.place].location, str(error))
    except ModelError as error:
        where = None
        if error.group is not None and error.engine is not None and error.id is not None:
            where = sites.location(error.group, error.engine, error.id)
        _fail(findings, where, str(error))
        findings.explanation = explain_error(error, sites, main_function(reference))
    shared = [each for f in npu_functions(module) for each in names_of(f, SHARED)]
    evidence = walker.evidence
    if evidence is None and shared and not findings.ok:
        findings.explanation = Explanation(shared_memory(shared[0]))
    if evidence is not None:
        trace = Traced(program, sites, watched, order, shared)
        varies = _varies(evidence.top, program, memory, watched, digests)
        why = findings.explanation  # a race goes before what it led to
        found = explain_tensor(evidence, varies, trace)
        findings.explanation = found if why is None else replace(found, cause=why.cause)


def _varies(
    top: str,
    program: Program,
    memory: Mapping[NetworkTensor, Array],
    watched: Mapping[Site, tuple[Observation, ...]],
    digests: Mapping[object, bytes],
) -> bool:
    """Whether a tensor is another one with the other noise in unwritten memory. A tensor that
    several commands leave counts when the last of them has run."""
    left = Counter(at for many in watched.values() for at in many if at.top == top)
    found = False

    def look(site: Site, npu: Npu) -> None:
        nonlocal found
        for at in watched.get(site, ()):
            left[at] -= 1
            if at.top == top and not left[at] and at in digests:
                found |= digests[at] != _digest(read_tensor(npu, at))

    with suppress(ModelError, HostError):
        execute(program, memory, NOISE[1], look)
    return found


def _of_host_layers(
    function: FuncOp, given: Mapping[str, Array], seed: int
) -> dict[str, Array]:
    """Made-up inputs that host layers read, where any numbers will not do."""
    rng, found = np.random.default_rng(seed), dict[str, Array]()
    for value, name in named_inputs(function):
        for use in value.uses:
            if isinstance(use.operation, HostOp) and name in given:
                made = use.operation.made_up(use.index, rng)
                if made is not None and made.dtype == given[name].dtype:
                    found[name] = made
    return found


def host_layers(module: ModuleOp) -> dict[int, HostOp]:
    """The layer of each host function, by the function's place among all."""
    found = enumerate(functions(module))
    return {place: host_op(function) for place, function in found if runs_on_host(function)}


def _unwritten(top: str) -> str:
    return f'tensor "{top}" depends on memory that nothing has written'


def _digest(value: Array) -> bytes:
    return blake2b(np.ascontiguousarray(value).view(np.uint8).data, digest_size=16).digest()


def _fail(findings: Findings, where: LocationAttr | None, sentence: str) -> None:
    place = f"{location_text(where)}: " if where is not None else ""
    findings.fail(place + sentence)


def _check_outputs(
    outputs: list[NetworkTensor],
    walker: ReferenceRun,
    npu: Npu,
    made: Mapping[str, Array],
    findings: Findings,
) -> None:
    """The outputs must still hold at the end what they held when they became final (within the
    tolerance: an output may have another name than the tensor that was observed). ``made`` are the
    results of host layers, with the shapes that they really have."""
    late = walker.missing()
    if late is not None:
        findings.fail(f'tensor "{late}" was never computed')
        return
    for output, expected in zip(outputs, walker.results(), strict=True):
        value = read_tensor(npu, output.observation())
        findings.outputs[output.name] = made.get(output.name, value)
        differs = bool(Difference.between(value, expected.array, expected.undefined).index)
        if differs and findings.first_bad is None:
            findings.fail(f'output "{output.name}" was overwritten after it was final')


@dataclass(frozen=True)
class VerifyLayersPass(ComparePass):
    """Executes the commands' bytes on the NPU model and compares every tensor with the CPU
    reference.

    Before: npu ops with ids, and ``@reference``. After: the same; see :class:`ComparePass`.
    """

    name = "verify-layers"
    level = "npu"

    def compare(self, module: ModuleOp) -> None:
        verify_program(module, Program.of(module), self.findings, self.data, self.seed)
