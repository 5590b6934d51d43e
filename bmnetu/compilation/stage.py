"""One stage of a bmodel: the passes on a network of some shapes, the compare, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import DiagnosticException, VerifyException

from bmnetu.bmodel import read, write
from bmnetu.compare_data import compare_data
from bmnetu.compilation.names import BMODEL, page_paths
from bmnetu.emit.border import network_name
from bmnetu.emit.notes import with_origin
from bmnetu.errors import BmnetuError, CompareError, UnsupportedError
from bmnetu.files.dump import Dumper
from bmnetu.files.outputs import OutputFolder
from bmnetu.frontend import Network
from bmnetu.note import Note
from bmnetu.options import CompileOptions, deciding_options
from bmnetu.pipeline import pipeline_text, run_pipeline
from bmnetu.report.html.compiled import CompileReport
from bmnetu.report.profile import profile, profile_files
from bmnetu.report.result import CompileResult, LayerLines, summary
from bmnetu.ways.choice import way_of
from bmnetu.ways.search import search, untried
from bmnetu.ways.way import Way
from dialects.constant import ConstantError
from dialects.execute import names_of
from passes.base import ComparePass
from passes.convert_ufw_to_quant import FAST_FUNCTIONS, ConvertUfwToQuantPass
from passes.module.functions import npu_functions
from passes.module.locations import LayerError
from passes.quant.quant_choose_winograd import REPORT, QuantChooseWinogradPass
from passes.verification.findings import Findings
from passes.verification.inputs import InputData

Report = Callable[[str], None]


@dataclass(frozen=True)
class CompiledStage:
    """A compiled stage: the result, whose files are not yet stored, and those beside the bmodel by
    name. ``references``: the bytes of the compare's files; ``write_page``: writes the page of
    -report, given the bmodel."""

    result: CompileResult
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    references: tuple[bytes, ...] = ()
    write_page: Callable[[bytes], None] = lambda bmodel: None


def unfinished(network: Network, pipeline: str) -> CompileResult:
    """A network without commands."""
    return CompileResult(
        bmodel=None,
        net_name=network_name(network.module),
        precision=str(network.precision),
        pipeline=pipeline,
        module=network.module,
        notes=network.notes,
    )


@contextmanager
def user_errors():
    """Turns what the passes raise about the user's network into UnsupportedError."""
    try:
        yield
    except LayerError as error:
        raise UnsupportedError(str(error)) from error
    except (VerifyException, DiagnosticException, ConstantError) as error:
        raise BmnetuError(str(error).splitlines()[0] if str(error) else repr(error)) from error


SEARCHED = 2
"""The opt level whose passes have options to be searched."""


@dataclass
class StageCompilation:
    """One run of the pipeline; ``stage`` is its place in the bmodel."""

    options: CompileOptions
    network: Network
    report: Report
    progress: Report
    stage: int = 0
    data: InputData = field(init=False)
    findings: Findings = field(default_factory=Findings)
    lines: LayerLines = field(init=False)
    way: Way = field(init=False)
    page: CompileReport | None = None

    def __post_init__(self) -> None:
        self.data = compare_data(self.options, self.network, self.report)
        self.lines = LayerLines(self.report)
        self.way = way_of(self.options)
        if self.options.report is not None:
            path = page_paths(self.options)[self.stage]
            page = CompileReport.of(self.options, self.network, path)
            several = len(self.options.input_sets) > 1
            self.page = replace(page, name=f"{page.name}, stage {self.stage}") if several else page

    def run(self) -> CompiledStage:
        options, module = self.options, self.network.module
        passes = self._prepared(self.way.passes(options))
        dumper = None
        if options.dump_ir is not None:
            dumper = Dumper(OutputFolder(options.dump_ir, "-dump_ir"))
            dumper.dump("load", module)

        def after(item: ModulePass) -> None:
            if dumper is not None and not isinstance(item, ComparePass):
                dumper.dump(item.name, module)
            for function in npu_functions(module):
                if isinstance(item, QuantChooseWinogradPass):
                    for line in names_of(function, REPORT):
                        self.report(line)
                if isinstance(item, ConvertUfwToQuantPass):
                    for line in names_of(function, FAST_FUNCTIONS):
                        self.report(Note("fast-function", line).line)

        def before(item: ModulePass) -> None:
            self.progress(f"pass {passes.index(item) + 1} of {len(passes)}: {item.name}")

        rest = passes
        if options.opt == SEARCHED and not options.dyn and self.way.ends_at(options.stop_after):
            done = untried(passes)
            run_pipeline(module, passes[:done], after, before=before)
            one = len(options.input_sets) == 1
            rest = passes[done:]
            found = search(module, rest, options.opt_budget, self.progress, one_stage=one)
            passes, rest = (*passes[:done], *found.passes), found.passes
            if found.module is not None and dumper is None:
                module, rest = found.module, [p for p in rest if isinstance(p, ComparePass)]
        run_pipeline(module, rest, after, before=before)
        text = pipeline_text(passes)
        if not self.way.ends_at(options.stop_after):
            hint = "; -dump_ir=DIR keeps the IR" if dumper is None else ""
            self.report(f"stopped after level {options.stop_after}{hint}")
            return CompiledStage(unfinished(self.network, text))
        self._judge(module)
        return self._made(module, text)

    def _prepared(self, passes: tuple[ModulePass, ...]) -> tuple[ModulePass, ...]:
        """The passes on the user's input, the compare's findings reported as they come."""
        for item in passes:
            if isinstance(item, (QuantChooseWinogradPass, ComparePass)):
                item.data.arrays.update(self.data.arrays)
            if isinstance(item, ComparePass):
                self.findings = item.findings
                item.findings.on_tensor = self.lines.add
                item.findings.fatal = False
        return passes

    def _judge(self, module: ModuleOp) -> None:
        if not self.options.cmp:
            return
        found = self.findings
        self.lines.flush()
        if not found.ok:
            self._report_on(module, None)
            sentence, why = f"compare failed: {found.verdict()}", found.explained
            for line in () if why is None else why.lines():
                self.report(f"compare: {line}")
            raise CompareError(sentence if why is None else f"{sentence}; {why.sentence()}")
        line, notes = summary(found, made_up=not self.data.arrays)
        for each in (line, *(note.line for note in notes)):
            self.report(each)

    def _report_on(self, module: ModuleOp, bmodel: bytes | None) -> None:
        """-report."""
        if self.page is not None:
            self.progress("report")
            self.page.store(module, self.findings if self.options.cmp else None, bmodel)

    def _made(self, module: ModuleOp, text: str) -> CompiledStage:
        options = self.options
        data_file = options.cmp_data if isinstance(options.cmp_data, Path) else None
        sources = {"model": options.model, "weight": options.weight, "data": data_file}
        contents = with_origin(self.way.emit(module), deciding_options(options), sources)
        try:
            data = write(contents)
        except ValueError as error:
            raise UnsupportedError(f"{self.options.model}: {error}") from error
        self.way.check(read(data, BMODEL), module, BMODEL)
        found = self.findings if self.options.cmp else None
        result = CompileResult(
            bmodel=None,
            net_name=contents.nets[0].name,
            precision=str(self.network.precision),
            pipeline=text,
            module=module,
            contents=contents,
            findings=found,
            notes=self.network.notes,
        )
        profiles = profile_files(profile(module), self.stage) if self.options.enable_profile else {}
        references = () if found is None else tuple(
            b"".join(np.ascontiguousarray(a).tobytes() for a in arrays.values())
            for arrays in (found.inputs, found.outputs)
        )
        return CompiledStage(
            result, profiles, references, lambda bmodel: self._report_on(module, bmodel)
        )
