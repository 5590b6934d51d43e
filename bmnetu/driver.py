"""Compiles a network: files in, passes, files out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import DiagnosticException, VerifyException

from bmnetu.bmodel import Bmodel, read, write
from bmnetu.compare_data import compare_data
from bmnetu.emit.border import network_name
from bmnetu.emit.combine import combined
from bmnetu.emit.notes import with_origin
from bmnetu.errors import BmnetuError, CompareError, UnsupportedError, UsageError
from bmnetu.extract.layer import extract_layer
from bmnetu.files.dump import WEIGHTS, Dumper
from bmnetu.files.outputs import OutputFolder
from bmnetu.frontend import Network, generate_umodel, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.frontend.network import loader
from bmnetu.frontend.samples import Load, Sampler
from bmnetu.options import CompileOptions, Shapes, check_supported, deciding_options
from bmnetu.pipeline import pipeline_text, run_pipeline
from bmnetu.report.html.compiled import CompileReport
from bmnetu.report.profile import profile, profile_files, profile_names
from bmnetu.report.result import CompileResult, LayerLines, report_free, summary
from bmnetu.start import COLLECTIONS
from bmnetu.ways.choice import way_of
from bmnetu.ways.search import search, untried
from bmnetu.ways.way import Way
from dialects.constant import ConstantError
from dialects.execute import names_of
from dialects.ufw.shapes import show
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
    writes an fp32umodel and its prototxt only, with extract_layer those of one layer, with
    print_pipeline nothing. Raises the exceptions
    of :mod:`bmnetu.errors`; then outdir holds nothing new.
    """
    check_supported(options)
    if options.mode == "GenUmodel":
        return _generated(options, report)
    if options.extract_layer is not None:
        found = extract_layer(options, report)
        return replace(_unfinished(found.network, ""), umodel=found.umodel, prototxt=found.prototxt)
    folder = OutputFolder(options.outdir, "-outdir")
    way = way_of(options)
    if way.ends_at(options.stop_after) and not options.print_pipeline:
        folder.check(*_file_names(options))
    if options.dump_ir is not None:
        OutputFolder(options.dump_ir, "-dump_ir").check(WEIGHTS)
    if not options.print_pipeline:
        for path in _page_paths(options):
            OutputFolder(path.parent, "-report").check(path.name)
    progress(f"reading {options.model}")
    cut = Cut(options.output_whitelist, options.host)
    load = loader(options.model, options.weight, options.net_name, cut)
    networks = [load(*each) for each in options.input_sets]
    network = networks[0]
    _check_precision(options, network)
    given, options = options.prec, replace(options, prec=str(network.precision))
    for note in dict.fromkeys(note for each in networks for note in each.notes):
        report(f"note: {note}")
    if options.print_pipeline:
        report(way.text(options))
        return _unfinished(network, way.text(options))
    if given is None and network.precision == "INT8":
        report("note: the umodel is INT8, so it is compiled with -prec=INT8")
    _check_choice(networks)
    with user_errors():
        if options.dyn:
            made = [_at_run_time_shapes(options, network, load, report, progress)]
        else:
            made = [
                _compiled(options, each, i, report, progress) for i, each in enumerate(networks)
            ]
    return _stored(options, made, folder)


def _check_choice(networks: Sequence[Network]) -> None:
    """Raises UsageError where the runtime could not tell two stages by the shapes of its inputs."""
    seen: set[Shapes] = set()
    for network in networks:
        shapes = tuple(network.input_shapes)
        if shapes in seen:
            raise UsageError(
                f"-shapes, -max_n: {', '.join(map(show, shapes))} is given twice, and the runtime"
                " chooses a stage by its shapes"
            )
        seen.add(shapes)


def _compiled(
    options: CompileOptions, network: Network, stage: int, report: Report, progress: Report
) -> _Made:
    """One stage; of several it is reported which."""
    if len(options.input_sets) > 1:
        report(f"stage {stage}: {', '.join(map(show, network.input_shapes))}")
    return _Compilation(options, network, report, progress, stage=stage).run()


@dataclass(frozen=True)
class _Made:
    """A compiled stage: the result, whose files are not yet stored, and those beside the bmodel by
    name. ``references``: the bytes of the compare's files; ``write_page``: writes the page of
    -report, given the bmodel."""

    result: CompileResult
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    references: tuple[bytes, ...] = ()
    write_page: Callable[[bytes], None] = lambda bmodel: None


def _stored(options: CompileOptions, made: Sequence[_Made], folder: OutputFolder) -> CompileResult:
    """Stores what was made, all stages in one bmodel."""
    results = [each.result for each in made]
    first = results[0]
    if first.contents is None:
        return first
    contents = first.contents
    if len(made) > 1:
        contents = combined([(str(options.model), _contents(each)) for each in results])
    files = {name: content for each in made for name, content in each.files.items()}
    if options.cmp:
        joined = (b"".join(parts) for parts in zip(*(m.references for m in made), strict=True))
        files |= dict(zip(REFERENCES, joined, strict=True))
    bmodel = write(contents)
    folder.store(files | {BMODEL: bmodel})
    for each in made:
        each.write_page(bmodel)
    references = [options.outdir / name if name in files else None for name in REFERENCES]
    return replace(
        first,
        bmodel=options.outdir / BMODEL,
        contents=contents,
        input_ref_data=references[0],
        output_ref_data=references[1],
        stages=tuple(results) if len(results) > 1 else (),
    )


def _contents(result: CompileResult) -> Bmodel:
    assert result.contents is not None
    return result.contents


def _at_run_time_shapes(
    options: CompileOptions,
    network: Network,
    load: Load,
    report: Report,
    progress: Report,
) -> _Made:
    """Compiles with samples of the network at smaller shapes. A dimension that a layer turns out to
    fix has one size in the next attempt."""
    sampler = Sampler(load, list(network.input_shapes), options.seed)
    while True:
        progress("samples of smaller shapes")
        sampler.sampled(network)
        varied = [names_of(function, SAMPLE) for function in samples(network.module)]
        try:
            made = _Compilation(options, network, report, progress).run()
        except ShapeFixed as error:
            if not error.sample:
                raise
            sampler.fixed[varied[error.sample - 1][-1]] = str(error)
            network = load(sampler.largest)
            continue
        found = replace(
            made.result, free=sampler.free, steps=dict(sampler.steps), fixed=dict(sampler.fixed)
        )
        report_free(found, report)
        return replace(made, result=found)


def _generated(options: CompileOptions, report: Report) -> CompileResult:
    """-mode=GenUmodel."""
    umodel, prototxt = generate_umodel(
        options.model,
        options.weight,
        options.outdir,
        options.net_name,
        shapes=options.input_sets[0][0],
        max_n=options.input_sets[0][1],
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
    if options.enable_profile:
        names += [name for i in range(len(options.input_sets)) for name in profile_names(i)]
    return [*names, BMODEL]


def _page_paths(options: CompileOptions) -> list[Path]:
    """The page of -report for each stage."""
    path, count = options.report, len(options.input_sets)
    if path is None:
        return []
    return [path.with_stem(f"{path.stem}_{i}") for i in range(count)] if count > 1 else [path]


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
            path = _page_paths(self.options)[self.stage]
            self.page = CompileReport.of(self.options, self.network, path)

    def run(self) -> _Made:
        options, module = self.options, self.network.module
        passes = self._prepared(self.way.passes(options))
        dumper = None
        if options.dump_ir is not None:
            dumper = Dumper(OutputFolder(options.dump_ir, "-dump_ir"))
            dumper.dump("load", module)

        def after(item: ModulePass) -> None:
            if dumper is not None and not isinstance(item, ComparePass):
                dumper.dump(item.name, module)
            if isinstance(item, QuantChooseWinogradPass):
                for function in npu_functions(module):
                    for line in names_of(function, REPORT):
                        self.report(line)

        def before(item: ModulePass) -> None:
            self.progress(f"pass {passes.index(item) + 1} of {len(passes)}: {item.name}")

        rest = passes
        if options.opt == SEARCHED and not options.dyn and self.way.ends_at(options.stop_after):
            done = untried(passes)
            run_pipeline(module, passes[:done], after, before=before)
            found = search(module, passes[done:], options.opt_budget, self.progress)
            passes, rest = (*passes[:done], *found.passes), found.passes
            if found.module is not None and dumper is None:
                module, rest = found.module, [p for p in rest if isinstance(p, ComparePass)]
        run_pipeline(module, rest, after, before=before)
        text = pipeline_text(passes)
        if not self.way.ends_at(options.stop_after):
            self.report(f"stopped after level {options.stop_after}; -dump_ir=DIR keeps the IR")
            return _Made(_unfinished(self.network, text))
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
        for line in summary(found, made_up=not self.data.arrays):
            self.report(line)

    def _report_on(self, module: ModuleOp, bmodel: bytes | None) -> None:
        """-report."""
        if self.page is not None:
            self.progress("report")
            self.page.store(module, self.findings if self.options.cmp else None, bmodel)

    def _made(self, module: ModuleOp, text: str) -> _Made:
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
        return _Made(result, profiles, references, lambda bmodel: self._report_on(module, bmodel))
