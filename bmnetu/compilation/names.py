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


def older_files(options: CompileOptions) -> list[str]:
    """Files of other compilations in outdir that this one does not store, as their names say."""
    own = file_names(options)
    found = [options.outdir / name for name in REFERENCES]
    found += sorted(options.outdir.glob("compiler_profile_*.*"))
    return [path.name for path in found if path.name not in own and path.is_file()]


def page_paths(options: CompileOptions) -> list[Path]:
    """The page of -report for each stage."""
    path, count = options.report, len(options.input_sets)
    if path is None:
        return []
    return [path.with_stem(f"{path.stem}_{i}") for i in range(count)] if count > 1 else [path]
