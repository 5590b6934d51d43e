"""lit's settings: ``lit lit_tests`` works from a bare checkout, with whatever Python runs lit."""

import os
import sys
from typing import Any

import lit.formats

config: Any = globals()["config"]  # put there by lit
config.name = "bmnetu"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".prototxt"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(os.path.abspath(__file__))
config.environment["PYTHONPATH"] = os.path.dirname(config.test_source_root)
config.substitutions += [
    (rf"(?<![\w./-]){tool}(?![\w./-])", f"{sys.executable} -m {module}")
    for tool, module in (("bmnetu-opt", "bmnetu.opt"), ("filecheck", "filecheck"))
]
