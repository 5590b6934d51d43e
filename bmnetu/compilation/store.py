"""All stages of a compilation as one bmodel, and the files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bmnetu.bmodel import Bmodel, read, write
from bmnetu.compilation.names import BMODEL, REFERENCES
from bmnetu.compilation.stage import CompiledStage
from bmnetu.emit.combine import combined, moved_differences
from bmnetu.errors import BmnetuError
from bmnetu.files.outputs import OutputFolder
from bmnetu.options import CompileOptions
from bmnetu.report.result import CompileResult


def stored(
    options: CompileOptions, made: Sequence[CompiledStage], folder: OutputFolder
) -> CompileResult:
    """Stores what was made, all stages in one bmodel. What each stage's compare has found holds for
    the file: its commands are the same but for places in DDR, and read the same weights."""
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
    if len(made) > 1:
        for each, stage in zip(results, read(bmodel, BMODEL).nets[0].stages, strict=True):
            for difference in moved_differences(_contents(each).nets[0].stages[0], stage):
                raise BmnetuError(f"{BMODEL}: {difference}")
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
