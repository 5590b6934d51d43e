"""The files that a compilation stores."""

from __future__ import annotations

from pathlib import Path

from bmnetu.options import CompileOptions
from bmnetu.report.profile import profile_names

BMODEL = "compilation.bmodel"
REFERENCES = ("input_ref_data.dat", "output_ref_data.dat")
"""What is stored in outdir, the second with the compare."""


def file_names(options: CompileOptions) -> list[str]:
    """The files that a compilation stores."""
    names = [*REFERENCES] if options.cmp else []
    if options.enable_profile:
        names += [name for i in range(len(options.input_sets)) for name in profile_names(i)]
    return [*names, BMODEL]


def page_paths(options: CompileOptions) -> list[Path]:
    """The page of -report for each stage."""
    path, count = options.report, len(options.input_sets)
    if path is None:
        return []
    return [path.with_stem(f"{path.stem}_{i}") for i in range(count)] if count > 1 else [path]
