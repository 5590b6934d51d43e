"""``bmnetu-opt``: runs any of our passes on a prototxt or a dump, as MLIR's opt tools do."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.targets.mlir import MLIRTarget
from xdsl.transforms.canonicalize import CanonicalizePass
from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination
from xdsl.transforms.dead_code_elimination import DeadCodeElimination
from xdsl.utils.arg_spec import parse_pipeline
from xdsl.utils.exceptions import (
    ArgSpecParseError,
    DiagnosticException,
    ParseError,
    PassFailedException,
)
from xdsl.utils.target import Target
from xdsl.xdsl_opt_main import xDSLOptMain

from bmnetu.command_line import list_passes
from bmnetu.command_line.explanations import explain
from bmnetu.command_line.flags import COMMON_FLAGS, ELSEWHERE, parse
from bmnetu.command_line.help import example_lines, exit_lines
from bmnetu.command_line.installed import faulty_plugin, installed_plugins
from bmnetu.command_line.opt_flags import OPT_EXAMPLES
from bmnetu.command_line.terminal import Terminal, settle
from bmnetu.command_line.tool import guarded, report_bug
from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError, UsageError
from bmnetu.files.bmodel_module import (
    bmodel_module,
    command_lines,
    stage_record_lines,
    stages_of,
)
from bmnetu.files.dump import fill_constants
from bmnetu.files.module_text import parse_module
from bmnetu.files.outputs import OutputFolder
from bmnetu.files.reading import write_atomically
from bmnetu.files.text_printer import TextPrinter
from bmnetu.files.weights_file import WeightsFile
from bmnetu.frontend import load_network
from bmnetu.interrupts import interruptible
from bmnetu.nearest import nearest
from bmnetu.pipeline import all_dialects, known_passes
from bmnetu.start import INTERRUPTED
from dialects.names import quoted
from passes.image.disassembly import listing
from passes.image.record_text import record_lines
from passes.image.records import records_of, stream_of
from passes.module.functions import main_function
from passes.module.locations import LayerError
from passes.module.precondition import check_precondition

GENERAL_PASSES: tuple[type[ModulePass], ...] = (
    CanonicalizePass,
    CommonSubexpressionElimination,
    DeadCodeElimination,
)

FINDINGS = (BmnetuError, LayerError, ArgSpecParseError, DiagnosticException, ParseError)
"""What is wrong with the command or the module, whoever finds it."""
USER_ERRORS = (*FINDINGS, ValueError, OSError)
"""What is wrong with the command, the module or a file: one sentence."""


@dataclass(frozen=True)
class NpuAsmTarget(Target):
    """The commands and the layers on the host as text, one line each, with the layer they come
    from."""

    name = "npu-asm"

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        stages = stages_of(module)
        if stages is not None:
            output.writelines(line + "\n" for line in command_lines(stages))
            return
        for line in listing(module):
            output.write(line + "\n")


@dataclass(frozen=True)
class RecordAsmTarget(Target):
    """The records of a dynamic network as text, one line each, with the layer they come from."""

    name = "record-asm"

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        stages = stages_of(module)
        if stages is not None:
            output.writelines(line + "\n" for line in stage_record_lines(stages))
            return
        function = main_function(module)
        records = records_of(function)
        if not records:
            raise PassFailedException("the function holds no records")
        output.writelines(line + "\n" for line in record_lines(stream_of(function), records))


@dataclass(frozen=True)
class TextTarget(MLIRTarget):
    """The module as text, with aliases for long types."""

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        if self.syntax_highlight:
            super().emit(ctx, module, output)
            return
        printer = TextPrinter(
            stream=output,
            print_generic_format=self.print_generic_format,
            print_properties_as_attributes=self.print_properties_as_attributes,
            print_debuginfo=self.print_debuginfo,
        )
        printer.print_with_aliases(module)
        printer.print_metadata(ctx.loaded_dialects)
        print("\n", file=output)


class _Kept(io.StringIO):
    """A stream whose text is there when it is closed."""

    text = ""

    def close(self) -> None:
        if not self.closed:
            self.text = self.getvalue()
        super().close()


class BmnetuOpt(xDSLOptMain):
    """xDSL's optimiser driver with our dialects, passes, frontend and disassembler."""

    version_format = "bmnetu-opt on xdsl {xdsl_version}"
    output: IO[str]

    def register_all_dialects(self) -> None:
        def factory(dialect: Dialect) -> Callable[[], Dialect]:
            return lambda: dialect

        for dialect in all_dialects():
            self.ctx.register_dialect(dialect.name, factory(dialect))

    def register_all_passes(self) -> None:
        def factory(item: type[ModulePass]) -> Callable[[], type[ModulePass]]:
            return lambda: item

        for name, load in known_passes().items():
            self.register_pass(name, load)
        for item in GENERAL_PASSES:
            self.register_pass(item.name, factory(item))

    def setup_pipeline(self) -> None:
        for spec in parse_pipeline(self.args.passes):
            if spec.name not in self.available_passes:
                near = nearest(spec.name, self.available_passes)
                hint = f"did you mean {near}?" if near else "--list-passes lists all"
                raise UsageError(f"-p: there is no pass {quoted(spec.name)}; {hint}")
        super().setup_pipeline()
        verify = self.pipeline.callback
        assert verify is not None

        def check(last: ModulePass | None, module: ModuleOp, item: ModulePass | None) -> None:
            verify(last, module, item)
            if item is not None:
                check_precondition(item, module)

        self.pipeline = replace(self.pipeline, callback=check)

    def prepare_output(self) -> IO[str]:
        return self.output

    def run(self) -> None:
        """Runs it all; a file is kept in memory until then, so that a failure writes nothing."""
        if self.args.json:
            raise UsageError("--json goes with --list-passes; a module is text, see -t for others")
        path = Path(self.args.output_file or "")
        if self.args.output_file is None:
            if sys.__stdout__ is None:
                raise InputFileError("stdout is closed; -o FILE writes the module to a file")
            self.output = sys.stdout
        elif path.exists() and not path.is_file():
            self.output = path.open("w")  # a device; or a folder, and the error says so
        else:
            OutputFolder(path.parent).check(path.name)
            self.output = _Kept()
        super().run()
        if isinstance(self.output, _Kept):
            write_atomically(path, self.output.text.encode())

    def register_all_targets(self) -> None:
        super().register_all_targets()
        self.available_targets["mlir"] = lambda: TextTarget
        self.available_targets["npu-asm"] = lambda: NpuAsmTarget
        self.available_targets["record-asm"] = lambda: RecordAsmTarget

    def register_all_frontends(self) -> None:
        super().register_all_frontends()

        def dump(stream: IO[bytes]) -> ModuleOp:
            name, implicit = self.get_input_name(), not self.args.no_implicit_module
            module = parse_module(self.ctx, stream.read(), name, implicit)
            if self.args.weights is not None:
                fill_constants(module, WeightsFile(Path(self.args.weights)))
            return module

        def load(weight: Path | None) -> ModuleOp:
            network = load_network(Path(self.args.input_file), weight)
            for note in network.notes:
                Terminal("bmnetu-opt").note(note.coded)
            return network.module

        def prototxt(stream: IO[bytes]) -> ModuleOp:
            stream.close()
            if self.args.umodel is None:
                raise UsageError("a .prototxt needs its weights: --umodel FILE")
            return load(Path(self.args.umodel))

        def onnx(stream: IO[bytes]) -> ModuleOp:
            stream.close()
            return load(None)

        def bmodel(stream: IO[bytes]) -> ModuleOp:
            return bmodel_module(stream.read(), self.get_input_name())

        self.available_frontends["bmodel"] = bmodel
        self.available_frontends["mlir"] = dump
        self.available_frontends["onnx"] = onnx
        self.available_frontends["prototxt"] = prototxt

    def register_all_arguments(self, arg_parser: argparse.ArgumentParser) -> None:
        super().register_all_arguments(arg_parser)
        arg_parser.prog = "bmnetu-opt"
        arg_parser.formatter_class = argparse.RawDescriptionHelpFormatter
        arg_parser.epilog = "\n".join(
            ["Examples:", *example_lines("bmnetu-opt", OPT_EXAMPLES), "", *exit_lines("text")]
        )
        arg_parser.add_argument("--umodel", help="the weights of a .prototxt input")
        arg_parser.add_argument("--weights", help="weights.npz with the blobs of a .mlir input")
        arg_parser.add_argument(
            "--list-passes", action="store_true", help="list our passes, a line each, and stop"
        )
        arg_parser.add_argument(
            "--json", action="store_true", help="with --list-passes: print them as JSON"
        )
        arg_parser.add_argument(
            "--explain", metavar="CODE", help="what an exit code, the code of a note, or the cause"
            " that a failed compare names means; goes before all others"
        )
        arg_parser.add_argument(
            "--debug", action="store_true", help="show tracebacks of errors in the input"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 a pass or the verifier failed, else as ``bmnetu``."""
    words = list(sys.argv[1:] if argv is None else argv)
    words = ["--help" if word == "-help" else word for word in words]
    if "--list-passes" in words:
        return list_passes.main(words)
    terminal = Terminal("bmnetu-opt")
    if words and words[0].lstrip("-").partition("=")[0] in ("explain", *ELSEWHERE):
        return guarded(lambda: terminal.say(explain(*parse(COMMON_FLAGS, words)["explain"])), words,
                       terminal)  # fmt: skip
    try:
        with interruptible(), _streams():
            BmnetuOpt(description=_purpose(), args=words).run()
            sys.stdout.flush()
    except BrokenPipeError:
        return 0  # as in bmnetu-opt ... | head
    except SystemExit as end:  # of argparse, for --help and for a wrong flag
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        terminal.error("interrupted")
        return INTERRUPTED
    except (Exception, ArgSpecParseError) as error:  # no user may see a traceback of a bug
        if "--debug" in words:
            raise
        return _failed(error, words, terminal)
    return 0


def _failed(error: Exception | ArgSpecParseError, words: Sequence[str], terminal: Terminal) -> int:
    """Says what is wrong in one sentence; the exit code."""
    in_plugin = not isinstance(error, FINDINGS) and faulty_plugin(error) is not None
    if isinstance(error, USER_ERRORS) and not in_plugin:
        sentence = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.filename:
            sentence = f"{error.filename}: {error.strerror}"
        terminal.error(sentence)
        return _exit_code(error)
    if isinstance(error, RecursionError) and not in_plugin:
        terminal.error("the module is nested too deeply")
        return InputFileError.exit_code
    if isinstance(error, MemoryError):
        terminal.error("this machine has too little memory for the module")
        return UnsupportedError.exit_code
    assert isinstance(error, Exception)
    return report_bug(words, error, terminal)


def _purpose() -> str:
    plugins = ", ".join(installed_plugins())
    return "Runs bmnetu's passes on a network." + (f" Plug-ins: {plugins}." if plugins else "")


def _exit_code(error: BaseException) -> int:
    if isinstance(error, ArgSpecParseError):
        return UsageError.exit_code
    if isinstance(error, BmnetuError):
        return error.exit_code
    if isinstance(error, LayerError):
        return UnsupportedError.exit_code
    return InputFileError.exit_code if isinstance(error, OSError) else 1


@contextmanager
def _streams() -> Generator[None]:
    """xDSL prints without a care: a closed stdout or stderr becomes one that leads nowhere."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
        try:
            yield
        finally:
            settle(sys.stdout)
            sys.stdout, sys.stderr = before


if __name__ == "__main__":
    sys.exit(main())
