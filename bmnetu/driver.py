"""Compiles a network: files in, passes, files out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import DiagnosticException, VerifyException

from bmnetu.bmodel import read, write
from bmnetu.compare_data import compare_data
from bmnetu.emit.border import network_name
from bmnetu.errors import BmnetuError, CompareError, UnsupportedError, UsageError
from bmnetu.files.dump import WEIGHTS, Dumper
from bmnetu.files.outputs import OutputFolder
from bmnetu.frontend import Network, generate_umodel, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.frontend.network import loader
from bmnetu.frontend.samples import Load, Sampler
from bmnetu.options import CompileOptions, check_supported
from bmnetu.pipeline import pipeline_text, run_pipeline
from bmnetu.report.html.compiled import CompileReport
from bmnetu.report.profile import PROFILE_FILES, profile, profile_files
from bmnetu.report.result import CompileResult, LayerLines, report_free, summary
from bmnetu.ways.choice import way_of
from bmnetu.ways.search import search
from bmnetu.ways.way import Way
from dialects.constant import ConstantError
from dialects.execute import names_of
from passes.base import ComparePass
from passes.module.functions import SAMPLE, main_function, names, npu_functions, samples
from passes.module.locations import LayerError
from passes.quant.quant_choose_winograd import REPORT, QuantChooseWinogradPass
from passes.records import ShapeFixed
from passes.verification.findings import Findings
from passes.verification.inputs import InputData

Report = Callable[[str], None]

BMODEL = "compilation.bmodel"
REFERENCES = ("input_ref_data.dat", "output_ref_data.dat")
"""What is stored in outdir, the second with the compare."""

COLLECTIONS = (200_000, 50, 1000)
"""Thresholds of Python's garbage collector: a network's ops are many and live long, and to look
through them again and again took a sixth of a large compilation."""


@contextmanager
def rare_collections():
    """Collects garbage less often."""
    before = gc.get_threshold()
    gc.set_threshold(*COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@rare_collections()
def compile_network(
    options: CompileOptions, report: Report, progress: Report = lambda text: None
) -> CompileResult:
    """Compiles a network as the options say; ``report`` gets lines for the user, ``progress`` what
    is being done.

    Writes compilation.bmodel and, with the compare, input_ref_data.dat and output_ref_data.dat into
    outdir; with enable_profile, compiler_profile_0.txt, .csv and .json too; with ``report`` a page
    about the compilation, also when the compare fails. With mode GenUmodel it
    writes an fp32umodel and its prototxt only, with print_pipeline nothing. Raises the exceptions
    of :mod:`bmnetu.errors`; then outdir holds nothing new.
    """
    check_supported(options)
    if options.mode == "GenUmodel":
        return _generated(options, report)
    folder = OutputFolder(options.outdir, "-outdir")
    way = way_of(options)
    if way.ends_at(options.stop_after) and not options.print_pipeline:
        folder.check(*_file_names(options))
    if options.dump_ir is not None:
        OutputFolder(options.dump_ir, "-dump_ir").check(WEIGHTS)
    if options.report is not None and not options.print_pipeline:
        OutputFolder(options.report.parent, "-report").check(options.report.name)
    progress(f"reading {options.model}")
    cut = Cut(options.output_whitelist, options.host)
    load = loader(options.model, options.weight, options.net_name, cut)
    network = load(options.shapes, options.max_n)
    _check_precision(options, network)
    given, options = options.prec, replace(options, prec=str(network.precision))
    for note in network.notes:
        report(f"note: {note}")
    if options.print_pipeline:
        report(way.text(options))
        return _unfinished(network, way.text(options))
    if given is None and network.precision == "INT8":
        report("note: the umodel is INT8, so it is compiled with -prec=INT8")
    data = compare_data(options, network, report)
    with user_errors():
        if options.dyn:
            return _at_run_time_shapes(options, network, load, folder, report, progress, data)
        return _Compilation(options, network, folder, report, progress, data).run()


def _at_run_time_shapes(
    options: CompileOptions,
    network: Network,
    load: Load,
    folder: OutputFolder,
    report: Report,
    progress: Report,
    data: InputData,
) -> CompileResult:
    """Compiles with samples of the network at smaller shapes. A dimension that a layer turns out to
    fix has one size in the next attempt."""
    sampler = Sampler(load, list(network.input_shapes), options.seed)
    while True:
        progress("samples of smaller shapes")
        sampler.sampled(network)
        varied = [names_of(function, SAMPLE) for function in samples(network.module)]
        try:
            found = _Compilation(options, network, folder, report, progress, data).run()
        except ShapeFixed as error:
            if not error.sample:
                raise
            sampler.fixed[varied[error.sample - 1][-1]] = str(error)
            network = load(sampler.largest)
            continue
        found = replace(
            found, free=sampler.free, steps=dict(sampler.steps), fixed=dict(sampler.fixed)
        )
        report_free(found, report)
        return found


def _generated(options: CompileOptions, report: Report) -> CompileResult:
    """-mode=GenUmodel."""
    umodel, prototxt = generate_umodel(
        options.model,
        options.weight,
        options.outdir,
        options.net_name,
        shapes=options.shapes,
        max_n=options.max_n,
        cut=Cut(options.output_whitelist, options.host),
        report=report,
    )
    return replace(
        _unfinished(load_network(prototxt, umodel), ""), umodel=umodel, prototxt=prototxt
    )


def _unfinished(network: Network, pipeline: str) -> CompileResult:
    """A network without commands."""
    return CompileResult(
        bmodel=None,
        net_name=network_name(network.module),
        precision=str(network.precision),
        pipeline=pipeline,
        module=network.module,
        notes=network.notes,
    )


def _file_names(options: CompileOptions) -> list[str]:
    """The files that a compilation stores."""
    names = [*REFERENCES] if options.cmp else []
    return [*names, *(PROFILE_FILES if options.enable_profile else ()), BMODEL]


def _check_precision(options: CompileOptions, network: Network) -> None:
    given, found = options.prec, str(network.precision)
    if given == "INT8" and found == "FP32":
        raise UsageError(
            f"-prec=INT8, but {options.weight or options.model} holds float weights: make an"
            " int8umodel with bmnetu-calibrate first"
        )
    if given == "FP32" and found == "INT8":
        raise UsageError(f"-prec=FP32, but {options.weight} is an int8umodel: use -prec=INT8")
    borders = (
        ("input_as_fp32", options.input_as_fp32, "input_names"),
        ("output_as_fp32", options.output_as_fp32, "output_names"),
    )
    for flag, names_given, attribute in borders:
        known = names(main_function(network.module), attribute)
        for name in names_given:
            if name not in known:
                raise UsageError(f"-{flag}: the network has no {name!r}, it has {', '.join(known)}")


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
class _Compilation:
    """One run of the pipeline."""

    options: CompileOptions
    network: Network
    folder: OutputFolder
    report: Report
    progress: Report
    data: InputData
    findings: Findings = field(default_factory=Findings)
    lines: LayerLines = field(init=False)
    way: Way = field(init=False)
    page: CompileReport | None = None

    def __post_init__(self) -> None:
        self.lines = LayerLines(self.report)
        self.way = way_of(self.options)
        if self.options.report is not None:
            self.page = CompileReport.of(self.options, self.network, self.options.report)

    def run(self) -> CompileResult:
        options, network = self.options, self.network
        passes = self._prepared(self.way.passes(options))
        searched = options.opt == SEARCHED and not options.dyn
        if searched and self.way.ends_at(options.stop_after):
            passes = search(network.module, passes, options.opt_budget, self.progress)
        text = pipeline_text(passes)
        dumper = None
        if options.dump_ir is not None:
            dumper = Dumper(OutputFolder(options.dump_ir, "-dump_ir"))
            dumper.dump("load", network.module)

        def after(item: ModulePass) -> None:
            if dumper is not None and not isinstance(item, ComparePass):
                dumper.dump(item.name, network.module)
            if isinstance(item, QuantChooseWinogradPass):
                for function in npu_functions(network.module):
                    for line in names_of(function, REPORT):
                        self.report(line)

        def before(item: ModulePass) -> None:
            self.progress(f"pass {passes.index(item) + 1} of {len(passes)}: {item.name}")

        run_pipeline(network.module, passes, after, before=before)
        if not self.way.ends_at(options.stop_after):
            self.report(f"stopped after level {options.stop_after}; -dump_ir=DIR keeps the IR")
            return _unfinished(network, text)
        self._judge(network.module)
        return self._store(network.module, text)

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
            raise CompareError(f"compare failed: {found.verdict()}")
        for line in summary(found, made_up=not self.data.arrays):
            self.report(line)

    def _report_on(self, module: ModuleOp, bmodel: bytes | None) -> None:
        """-report."""
        if self.page is not None:
            self.progress("report")
            self.page.store(module, self.findings if self.options.cmp else None, bmodel)

    def _store(self, module: ModuleOp, text: str) -> CompileResult:
        outdir = self.options.outdir
        contents = self.way.emit(module)
        try:
            data = write(contents)
        except ValueError as error:
            raise UnsupportedError(f"{self.options.model}: {error}") from error
        self.way.check(read(data, BMODEL), module, BMODEL)
        files: dict[str, bytes] = {}
        if self.options.cmp:
            for name, arrays in zip(
                REFERENCES, (self.findings.inputs, self.findings.outputs), strict=True
            ):
                files[name] = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays.values())
        if self.options.enable_profile:
            files |= profile_files(profile(module))
        self.folder.store(files | {BMODEL: data})
        self._report_on(module, data)
        references = [outdir / name if name in files else None for name in REFERENCES]
        return CompileResult(
            bmodel=outdir / BMODEL,
            net_name=contents.nets[0].name,
            precision=str(self.network.precision),
            pipeline=text,
            module=module,
            contents=contents,
            findings=self.findings if self.options.cmp else None,
            input_ref_data=references[0],
            output_ref_data=references[1],
            notes=self.network.notes,
        )
