"""The pages of exit codes."""

from bmnetu.command_line.explanations.page import Page

EXIT_PAGES = (
    Page("done", 0, "",
         "Done. `bmnetu` prints three lines of `#` behind a bmodel that it has stored.", "",
         ["The work is done, and the files are stored."]),
    Page("differ", 1, "", "`bmnetu-model diff` only: the two files differ. It is no error.",
         "What differs is printed; `--json` prints it for machines.",
         ["Another version, other options or another network made one of them."],
         ["bmnetu-model diff a.bmodel b.bmodel"], "bmnetu-model"),
    Page("text", 1, "", "`bmnetu-opt` only: a text is no module, or a pass or the verifier fails.",
         "The sentence names the line, or the pass.",
         ["A mistake in a module that was written by hand.",
          "A pass that runs on a level of the IR which it does not know."],
         ["bmnetu-opt --list-passes"], "bmnetu-opt"),
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
         ["bmnetu-model check compilation.bmodel"], "bmnetu-model"),
    Page("bug", 70, "BmnetuError", "A bug in bmnetu.",
         "Send the report file that the message names. It has the traceback, the versions and the"
         " flags, and no data of the model.",
         ["A mistake in bmnetu, or in a plug-in."]),
    Page("interrupted", 130, "KeyboardInterrupt",
         "Interrupted, by Ctrl-C or SIGTERM, from the first import on. Nothing is left, or all is"
         " stored.", "", ["You, or the system, stopped the run."]),
)  # fmt: skip
"""By exit code."""
