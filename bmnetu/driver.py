"""Compiles a network: files in, passes, files out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bmnetu.compilation.names import BMODEL, file_names, older_files, page_paths
from bmnetu.compilation.stage import CompiledStage, StageCompilation, unfinished, user_errors
from bmnetu.compilation.store import stored
from bmnetu.errors import (
    BmnetuError,
    CompareError,
    InputFileError,
    UnsupportedError,
    UsageError,
)
from bmnetu.extract.layer import extract_layer
from bmnetu.files.dump import WEIGHTS
from bmnetu.files.outputs import OutputFolder
from bmnetu.frontend import Network, generate_umodel, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.frontend.network import loader
from bmnetu.frontend.samples import Load, Sampler
from bmnetu.note import Note
from bmnetu.options import CompileOptions, Shapes, check_supported
from bmnetu.report.result import CompileResult, report_free
from bmnetu.start import COLLECTIONS
from bmnetu.ways.choice import way_of
from dialects.execute import names_of
from dialects.ufw.shapes import show
from passes.module.functions import SAMPLE, main_function, names, samples
from passes.records import ShapeFixed

Report = Callable[[str], None]

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
        return replace(unfinished(found.network, ""), umodel=found.umodel, prototxt=found.prototxt)
    with _old_bmodel_named(options, report):
        return _bmodel(options, report, progress)


@contextmanager
def _old_bmodel_named(options: CompileOptions, report: Report) -> Generator[None]:
    """Where the run fails, and a bmodel of an earlier one is there, it is said whose it is."""
    try:
        yield
    except BmnetuError:
        old = options.outdir / BMODEL
        if old.is_file():
            report(Note("old-bmodel", f"{old} is of an earlier run, not of this one").line)
        raise


def _bmodel(options: CompileOptions, report: Report, progress: Report) -> CompileResult:
    """A compilation that may make a bmodel."""
    folder = OutputFolder(options.outdir, "-outdir")
    way = way_of(options)
    if way.ends_at(options.stop_after) and not options.print_pipeline:
        folder.check(*file_names(options))
    if options.dump_ir is not None:
        OutputFolder(options.dump_ir, "-dump_ir").check(WEIGHTS)
    if not options.print_pipeline:
        for path in page_paths(options):
            OutputFolder(path.parent, "-report").check(path.name)
    progress(f"reading {options.model}")
    cut = Cut(options.output_whitelist, options.host)
    load = loader(options.model, options.weight, options.net_name, cut)
    networks = _loaded(load, options)
    network = networks[0]
    _check_precision(options, network)
    given, options = options.prec, replace(options, prec=str(network.precision))
    for note in dict.fromkeys(note for each in networks for note in each.notes):
        report(note.line)
    if options.print_pipeline:
        report(way.text(options))
        return unfinished(network, way.text(options))
    if given is None and network.precision == "INT8":
        report(
            Note("int8-umodel", "the umodel is INT8, so it is compiled with -prec=INT8").line
        )
    _check_choice(networks)
    with user_errors():
        if options.dyn:
            made = [_at_run_time_shapes(options, network, load, report, progress)]
        else:
            made = [
                _compiled(options, each, i, report, progress) for i, each in enumerate(networks)
            ]
    result = stored(options, made, folder)
    older = older_files(options) if result.bmodel is not None else []
    if older:
        names = ", ".join(older)
        report(Note("older-files", f"{options.outdir}: {names}: of an earlier run").line)
    return result


def _loaded(load: Callable[..., Network], options: CompileOptions) -> list[Network]:
    """The network at each stage's shapes; where there are several, an error says of which it is."""
    found: list[Network] = []
    for stage, each in enumerate(options.input_sets):
        try:
            found.append(load(*each))
        except BmnetuError as error:
            if len(options.input_sets) == 1:
                raise
            raise type(error)(f"stage {stage}: {error.message}") from error
    return found


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
) -> CompiledStage:
    """One stage; of several it is reported which."""
    if len(options.input_sets) == 1:
        return StageCompilation(options, network, report, progress).run()
    name = f"stage {stage} ({', '.join(map(show, network.input_shapes))})"
    report(f"{name}:")
    try:
        with user_errors():
            return StageCompilation(options, network, report, progress, stage=stage).run()
    except (CompareError, InputFileError, UnsupportedError, UsageError) as error:
        raise type(error)(f"{name}: {error.message}") from error


def _at_run_time_shapes(
    options: CompileOptions,
    network: Network,
    load: Load,
    report: Report,
    progress: Report,
) -> CompiledStage:
    """Compiles with samples of the network at smaller shapes. A dimension that a layer turns out to
    fix has one size in the next attempt."""
    sampler = Sampler(load, list(network.input_shapes), options.seed)
    while True:
        progress("samples of smaller shapes")
        sampler.sampled(network)
        varied = [names_of(function, SAMPLE) for function in samples(network.module)]
        try:
            made = StageCompilation(options, network, report, progress).run()
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
        unfinished(load_network(prototxt, umodel), ""), umodel=umodel, prototxt=prototxt
    )


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
