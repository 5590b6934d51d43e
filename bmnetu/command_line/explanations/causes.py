"""The pages of what a failed compare names as its likely cause."""

from bmnetu.command_line.explanations.page import Page

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
    Page("offset", None, "", "One error everywhere in a channel, but for rounding and for what a"
         " ReLU or the limits of 8 bits cut, in a layer without a bias.", FAULT,
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
