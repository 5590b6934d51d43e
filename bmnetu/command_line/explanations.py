"""What -explain prints: a page for every exit code and for every cause that a compare names.

The tables of docs/errors.md are made of the same rows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bmnetu.command_line.kinds import ValueKind
from bmnetu.nearest import nearest

WIDTH = 92


@dataclass(frozen=True)
class Page:
    """What a code means. ``code`` is what users type; ``number`` the exit code, None for a cause of
    a failed compare; ``exception`` what Python raises. ``causes`` and ``examples`` are lines,
    ``remedy`` is what to do."""

    code: str
    number: int | None
    exception: str
    meaning: str
    remedy: str
    causes: Sequence[str]
    examples: Sequence[str] = ()

    def text(self) -> str:
        """The page."""
        title = self.code if self.number is None else f"exit code {self.number}: {self.code}"
        raised = f" In Python it is {self.exception}." if self.exception else ""
        return "\n".join([
            title,
            *_paragraph(_plain(self.meaning) + raised),
            "  Common causes:",
            *(line for each in self.causes for line in _item(each)),
            "  What to do:",
            *_paragraph(_plain(self.remedy) or "Nothing.", "    "),
            *(["  Examples:", *(f"    {each}" for each in self.examples)] if self.examples else []),
        ])  # fmt: skip

    def row(self) -> str:
        """The page's row in docs/errors.md."""
        if self.number is None:
            return f"| {self.code} | {self.meaning} | {self.remedy} |"
        name = f"`{self.exception}`" if self.exception else ""
        return f"| {self.number} | {self.code} | {name} | {self.meaning} | {self.remedy} |"


def _paragraph(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _item(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="    - ", subsequent_indent="      ")


def _plain(text: str) -> str:
    return text.replace("`", "")


EXIT_PAGES = (
    Page("done", 0, "", "Done. The last three lines on stdout are the banner below.", "",
         ["The work is done, and the files are stored."]),
    Page("differ", 1, "", "`bmnetu-model diff` only: the two files differ. It is no error.",
         "What differs is printed; `--json` prints it for machines.",
         ["Another version, other options or another network made one of them."],
         ["bmnetu-model diff a.bmodel b.bmodel"]),
    Page("text", 1, "", "`bmnetu-opt` only: a text is no module, or a pass or the verifier fails.",
         "The sentence names the line, or the pass.",
         ["A mistake in a module that was written by hand.",
          "A pass that runs on a level of the IR which it does not know."],
         ["bmnetu-opt --list-passes"]),
    Page("usage", 2, "UsageError", "A flag or an argument is wrong, unknown or missing.",
         "`-help` lists all flags; an unknown flag comes with the nearest known one.",
         ["A misspelled flag, or a value of another kind than it takes.",
          "A necessary flag is missing: -model, -weight or -outdir.",
          "-prec=INT8 with float weights, or a name that the network does not have."],
         ["bmnetu -help", "bmnetu -model=net.prototxt -weight=net.caffemodel -outdir=out"]),
    Page("file", 3, "InputFileError",
         "A file is missing, damaged, or not what it should be; or a result cannot be written.",
         "The sentence names the file. Weights that do not fit the prototxt belong here too.",
         ["A path that does not exist, or a file that was not downloaded completely.",
          "Weights of another network, or a layer that was renamed in the prototxt alone.",
          "A folder that may not be written, or a full disk."],
         ["bmnetu-model info compilation.bmodel"]),
    Page("unsupported", 4, "UnsupportedError",
         "A layer type, a node of an .onnx, a shape or a flag's value that bmnetu cannot compile."
         " Every unsupported layer or node is listed at once.",
         "Replace or remove these layers, or compile the part of the net before them.",
         ["A layer type that bmnetu does not know.",
          "A parameter or a shape outside of what the chip or the runtime can do.",
          "Too little memory on this machine, or on the board."],
         ["bmnetu -model=net.prototxt -check        which layers can be compiled, and how",
          "bmnetu -list_ops                         all layer types with their parameters",
          "bmnetu ... -output_whitelist=conv5       the network ends at this tensor"]),
    Page("accuracy", 5, "AccuracyError",
         "`-target_cosine`, or in `bmnetu-calibrate eval` `-max_drop`, `-min_cosine` or `-min_iou`,"
         " is not reached.",
         "Nothing is stored. The sentence gives what was reached.",
         ["Too few data, or data that do not look like those that the network will see.",
          "A preprocess (mean, scale, colour order) that is not that of the training.",
          "A layer that loses too much in 8 bits."],
         ["bmnetu-calibrate ... -sensitivity        what each layer alone costs",
          "bmnetu-calibrate ... -float_budget=4     the worst layers stay float"]),
    Page("compare", 5, "CompareError",
         "The NPU would compute something else than the CPU. The first bad layer, the tensor, the"
         " index and both values are named, and a likely cause.",
         "Nothing is stored but the page of `-report`. This is a fault of the compiler: send the"
         " message, or that page, with the model.",
         ["The message names one; -explain=CAUSE, as in -explain=shift, says more of it."],
         ["bmnetu ... -opt=0                        may do without the part that is wrong",
          "bmnetu ... -cmp_data=input.npz           compares on your own input"]),
    Page("fault", 5, "FaultError",
         "`bmnetu-model` finds a bmodel whose commands, records or host layers the chip or the"
         " runtime cannot run: a race, a deadlock, a bad address.",
         "The sentence names net, stage, group and command; `bmnetu-model check` lists all.",
         ["A file that was damaged or changed.", "A fault of the compiler that made it."],
         ["bmnetu-model check compilation.bmodel"]),
    Page("bug", 70, "BmnetuError", "A bug in bmnetu.",
         "Send the report file that the message names. It has the traceback, the versions and the"
         " flags, and no data of the model.",
         ["A mistake in bmnetu, or in a plug-in."]),
    Page("interrupted", 130, "KeyboardInterrupt",
         "Interrupted, by Ctrl-C or SIGTERM, from the first import on. Nothing is left, or all is"
         " stored.", "", ["You, or the system, stopped the run."]),
)  # fmt: skip
"""By exit code."""

FAULT = "A fault of the compiler: send the message with the model."
CAUSES = (
    Page("missing wait", None, "",
         "Two commands of different engines touch the same bytes, and nothing orders them.", FAULT,
         ["The command that is named does not wait for the other one.",
          "Both layers got the same memory, though both need it."]),
    Page("deadlock", None, "", "Each engine waits for a command of the other that comes later.",
         FAULT, ["A wait with a number that is too high."]),
    Page("illegal command", None, "", "The model of the chip refuses a command.", FAULT,
         ["A field that the chip does not take, or an address outside of its memory."]),
    Page("unwritten memory", None, "",
         "The tensor is another one when unwritten memory holds other bytes.", FAULT,
         ["A load is missing, or comes too late.", "A border that nothing fills with zeros."]),
    Page("shared memory", None, "", "Two buffers that are alive at one time have common bytes.",
         FAULT, ["An allocation that takes a lifetime for shorter than it is."]),
    Page("bias", None, "", "One error everywhere in a channel, but for rounding and for what a ReLU"
         " or the limits of 8 bits cut, in a layer with a bias.", FAULT,
         ["The bias of these channels has another value, or another place."]),
    Page("offset", None, "", "The same in a layer without a bias.", FAULT,
         ["A constant that is added has another value."]),
    Page("shift", None, "", "A power of two times the right numbers, rounded and cut to 8 bits.",
         FAULT, ["The right shift of the layer is too large or too small."]),
    Page("coefficient", None, "", "A power of two times the right numbers, in float.", FAULT,
         ["A bit of a coefficient's exponent is wrong."]),
    Page("saturation", None, "",
         "At least half of the wrong elements are at a limit of 8 bits on the NPU alone.", FAULT,
         ["A shift or a multiplier that makes numbers too large.",
          "Where NPU and CPU agree and both saturate, it is no fault of the compiler, but a"
          " threshold that is too low."]),
    Page("weights", None, "", "Few channels are wrong and all others right; or no pattern is found"
         " in a layer with weights.", FAULT,
         ["The weights of these channels have another value, or another place."]),
    Page("part", None, "", "Few images or rows are wrong.", FAULT,
         ["A layer that is computed in parts, of which one is wrong: often at its border."]),
    Page("lanes", None, "", "Few lanes of local memory are wrong.", FAULT,
         ["Channels that lie in other lanes than the command assumes."]),
    Page("memory", None, "", "The wrong elements have nothing to do with the right ones.", FAULT,
         ["The command reads another operand.", "Something else overwrote the operand."]),
    Page("arithmetic", None, "", "No pattern is found, in a layer without weights.", FAULT,
         ["The arithmetic of the layer differs, or its rounding."]),
)  # fmt: skip
"""By the cause that a failed compare names."""


def pages_of(text: str) -> list[Page]:
    """The pages of an exit code, of its name or of a cause; words may be joined by ``-`` or
    ``_``."""
    word = text.strip().lower().replace("-", " ").replace("_", " ")
    pages = (*EXIT_PAGES, *CAUSES)
    return [page for page in pages if word in (page.code, str(page.number), page.exception.lower())]


def explain(text: str) -> str:
    """What -explain prints for a code that is known."""
    return "\n\n".join(page.text() for page in pages_of(text))


def _read_code(text: str) -> str:
    if not pages_of(text):
        known = list(_known())
        near = nearest(text, known)
        hint = f", perhaps {near}" if near else ""
        raise ValueError(f"a code{hint}: {', '.join(known)}")
    return text


def _known() -> Iterator[str]:
    yield from dict.fromkeys(str(page.number) for page in EXIT_PAGES)
    yield from (page.code.replace(" ", "-") for page in (*EXIT_PAGES, *CAUSES))


CODE = ValueKind("CODE", _read_code)
