"""``bmnetu-opt``: runs any of our passes on a prototxt or a dump, as MLIR's opt tools do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.transforms.canonicalize import CanonicalizePass
from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination
from xdsl.transforms.dead_code_elimination import DeadCodeElimination
from xdsl.utils.exceptions import DiagnosticException, ParseError
from xdsl.utils.target import Target
from xdsl.xdsl_opt_main import xDSLOptMain

from bmnetu.dump import fill_blobs
from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError, UsageError
from bmnetu.frontend import load_network
from bmnetu.module_text import parse_module
from bmnetu.pipeline import DIALECTS
from bmnetu.weights_file import WeightsFile
from dialects.blob import BlobError
from passes import ALL_PASSES
from passes.support.disassembly import disassemble
from passes.support.precondition import check_precondition
from passes.support.program import LayerError

GENERAL_PASSES: tuple[type[ModulePass], ...] = (
    CanonicalizePass,
    CommonSubexpressionElimination,
    DeadCodeElimination,
)


@dataclass(frozen=True)
class NpuAsmTarget(Target):
    """The commands as text, one line each, with the layer they come from."""

    name = "npu-asm"

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        for line in disassemble(module):
            output.write(line + "\n")


class BmnetuOpt(xDSLOptMain):
    """xDSL's optimiser driver with our dialects, passes, frontend and disassembler."""

    version_format = "bmnetu-opt on xdsl {xdsl_version}"

    def register_all_dialects(self) -> None:
        def factory(dialect: Dialect) -> Callable[[], Dialect]:
            return lambda: dialect

        for dialect in DIALECTS:
            self.ctx.register_dialect(dialect.name, factory(dialect))

    def register_all_passes(self) -> None:
        def factory(item: type[ModulePass]) -> Callable[[], type[ModulePass]]:
            return lambda: item

        for item in (*ALL_PASSES, *GENERAL_PASSES):
            self.register_pass(item.name, factory(item))

    def setup_pipeline(self) -> None:
        super().setup_pipeline()
        verify = self.pipeline.callback
        assert verify is not None

        def check(last: ModulePass | None, module: ModuleOp, item: ModulePass | None) -> None:
            verify(last, module, item)
            if item is not None:
                check_precondition(item, module)

        self.pipeline = replace(self.pipeline, callback=check)

    def register_all_targets(self) -> None:
        super().register_all_targets()
        self.available_targets["npu-asm"] = lambda: NpuAsmTarget

    def register_all_frontends(self) -> None:
        super().register_all_frontends()

        def dump(stream: IO[bytes]) -> ModuleOp:
            name, implicit = self.get_input_name(), not self.args.no_implicit_module
            module = parse_module(self.ctx, stream.read(), name, implicit)
            if self.args.weights is not None:
                fill_blobs(module, WeightsFile(Path(self.args.weights)))
            return module

        def load(weight: Path | None) -> ModuleOp:
            network = load_network(Path(self.args.input_file), weight)
            for note in network.notes:
                print(f"bmnetu-opt: note: {note}", file=sys.stderr)
            return network.module

        def prototxt(stream: IO[bytes]) -> ModuleOp:
            stream.close()
            if self.args.umodel is None:
                raise UsageError("a .prototxt needs its weights: --umodel FILE")
            return load(Path(self.args.umodel))

        def onnx(stream: IO[bytes]) -> ModuleOp:
            stream.close()
            return load(None)

        self.available_frontends["mlir"] = dump
        self.available_frontends["onnx"] = onnx
        self.available_frontends["prototxt"] = prototxt

    def register_all_arguments(self, arg_parser: argparse.ArgumentParser) -> None:
        super().register_all_arguments(arg_parser)
        arg_parser.add_argument("--umodel", help="the weights of a .prototxt input")
        arg_parser.add_argument("--weights", help="weights.npz with the blobs of a .mlir input")
        arg_parser.add_argument(
            "--list-passes", action="store_true", help="list our passes, a line each, and stop"
        )
        arg_parser.add_argument(
            "--debug", action="store_true", help="show tracebacks of errors in the input"
        )


def pass_lines() -> list[str]:
    """One line a pass: its name and the first sentence of its docstring."""
    width = max(len(item.name) for item in ALL_PASSES)
    texts = [" ".join((item.__doc__ or "").split()) for item in ALL_PASSES]
    return [
        f"{item.name:{width}}  {text.partition('. ')[0].removesuffix('.')}."
        for item, text in zip(ALL_PASSES, texts, strict=True)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 a pass or the verifier failed, else as ``bmnetu``."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "--list-passes" in words:
        print("\n".join(pass_lines()))
        return 0
    try:
        BmnetuOpt(description="Runs bmnetu's passes on a network.", args=words).run()
    except (BmnetuError, DiagnosticException, ParseError, BlobError, ValueError, OSError) as error:
        if "--debug" in words:
            raise
        return _explain(error)
    except RecursionError:
        print("bmnetu-opt: error: the module is nested too deeply", file=sys.stderr)
        return InputFileError.exit_code
    return 0


def _explain(error: Exception) -> int:
    """Says what is wrong in as few lines as it takes; the exit code."""
    code = error.exit_code if isinstance(error, BmnetuError) else 1
    if isinstance(error, LayerError):
        code = UnsupportedError.exit_code
    if isinstance(error, OSError):
        code = InputFileError.exit_code
    print(f"bmnetu-opt: error: {str(error) or type(error).__name__}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
