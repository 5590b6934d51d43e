"""The pages of notes: what is said on stderr without an effect on the exit code."""

from bmnetu.command_line.explanations.page import Page


def _note(
    code: str, meaning: str, remedy: str, causes: list[str], examples: tuple[str, ...] = ()
) -> Page:
    return Page(code, None, "", meaning, remedy, causes, examples)


NOTES = (
    # -- the network ---------------------------------------------------------------------------
    _note("unread-input", "No layer reads this input of the net, so the bmodel does not have it.",
          "Nothing, where it is an input of the training. Else look for a misspelled bottom.",
          ["The label of a data layer, which losses and accuracies read.",
           "An input that only layers read which are left out."],
          ("bmnetu -model=net.prototxt -check        which layers there are",)),
    _note("left-out", "The net ends before its own end: these layers are not in the bmodel.",
          "Nothing, where this is meant. Else change `-output_whitelist` or `-host`, or"
          " output_whitelist in the prototxt.",
          ["-output_whitelist, or output_whitelist in the prototxt, names tensors before the end.",
           "-host=false: the net ends before the layers that the runtime computes on the host."],
          ("bmnetu ... -output_whitelist=conv5       the network ends at this tensor",)),
    _note("not-for-inference", "A loss or an accuracy is left out: it is for the training.",
          "Nothing. A deploy prototxt does not have such layers.",
          ["The prototxt is the one of the training."]),
    _note("decoder", "A decoder of characters at the end of the net is left out; what it reads is"
          " an output of the bmodel.", "Decode this output in the program on the host.",
          ["A net that reads text, with a CTC decoder as its last layer."]),
    _note("silenced-outputs", "All results of the net go into Silence layers; these results are"
          " taken as its outputs.", "Name the outputs with `-output_whitelist`.",
          ["A prototxt of a training that only reports."]),
    _note("unknown-field", "A field that bmnetu does not know is skipped. It does not change what a"
          " layer computes: a field that might do so is an error.",
          "Nothing, or remove the field from the prototxt.",
          ["A field about data or training of another version of Caffe.",
           "A misspelled field."]),
    _note("foreign-parameter", "A layer has the parameters of another layer type, which have no"
          " effect, as in Caffe.", "Correct the type of the layer, or remove the parameters.",
          ["A layer's type was changed, and its old parameters are still there."]),
    _note("second-reading",
          "Two versions of Caffe read a setting differently, and the prototxt does"
          " not say which is meant. The net fits together with the second reading only, so that one"
          " is taken.", "Check the shapes. The sentence names the setting; set `exact_zoom` or"
          " `denser_prior_boxes` in the prototxt to decide it.",
          ["A prototxt of another version of Caffe: Interp of Intel's, PriorBox of TextBoxes."]),
    _note("placeholder-shape", "An input has one pixel, but the net moves windows over it: perhaps"
          " its shape is to be set at run time.", "Give the real shape with `-shapes`.",
          ["A prototxt with 1 for height and width, as some programs write it."],
          ("bmnetu ... -shapes=[1,3,224,224]",)),
    _note("shared-weights",
          "Layers share weights by name, but the file has different ones for them."
          " The last ones are taken, as Caffe does.",
          "Nothing, where Caffe stored the file. Else check which weights are meant.",
          ["The file was made by joining others.", "Two different blobs got one name."]),
    _note("int8-scale",
          "The scale of an INT8 input in the prototxt is not that of the umodel, which"
          " is taken.", "Use the prototxt and the umodel of one calibration.",
          ["A prototxt of another calibration.", "int8_scale was written by hand."]),
    _note("host-limit", "A layer that the runtime computes on the host does less than its settings"
          " ask for.", "Nothing, where the limit is enough for you. The sentence names it.",
          ["The host library has a fixed limit, such as 200 regions of a Proposal."]),
    # -- ONNX ----------------------------------------------------------------------------------
    _note("any-batch", "The batch of an input has no size in the .onnx, so the bmodel has batch 1.",
          "Give the batch with `-shapes` or `-max_n` where another one is meant.",
          ["The net was exported with a dynamic batch."],
          ("bmnetu -model=net.onnx -outdir=out -max_n=4",)),
    _note("element-type", "An input or an output of the .onnx has another type than FLOAT. The"
          " bmodel has the same numbers in the type that the sentence names.",
          "Convert the numbers in your program.",
          ["Indices of an ArgMax are INT64.", "The net was exported in half precision."]),
    _note("own-scales", "The .onnx says how some tensors are held in integers.",
          "Nothing. `bmnetu-calibrate` takes these scales as thresholds; in FP32 they have no"
          " effect.",
          ["The net was trained or calibrated for integers: it has QuantizeLinear."]),
    _note("zero-point",
          "Some tensors have a zero point, which the chip does not have. They are held"
          " symmetrically, so a step is larger.",
          "Measure what is lost, or quantize symmetrically when the net is exported.",
          ["The exporter quantized asymmetrically, which is usual for unsigned integers."],
          ("bmnetu-calibrate eval ...                how far INT8 and FP32 agree",)),
    _note("scale-a-channel", "Weights have a scale for each channel; the chip has one a layer. The"
          " sentence says by how much the weights change.",
          "Measure what is lost; keep the layer float where it is too much.",
          ["The exporter quantized per channel."],
          ("bmnetu-calibrate ... -fpfwd_blocks=conv1   this layer stays float",)),
    # -- compiling -----------------------------------------------------------------------------
    _note("int8-umodel", "The umodel is INT8, so `-prec=INT8` is taken.",
          "Nothing, or give `-prec=INT8`.", ["-prec was not given."]),
    _note("fixed-dimension",
          "With `-dyn=true`, a layer fixes this dimension: it has one size at run"
          " time.", "Nothing, where this is right. Else replace the layer that is named.",
          ["An InnerProduct needs one size of what it reads.",
           "The largest size is 1, so that there is no smaller one."]),
    _note("old-bmodel", "The run failed, and the compilation.bmodel in `-outdir` is what an earlier"
          " run stored.", "Mend what the error says and compile again; remove the file where it"
          " might be taken for the result.",
          ["A failed run leaves all files as they were."],
          ("bmnetu-model info out/compilation.bmodel   of what it was made",)),
    _note("older-files", "Beside the new bmodel, `-outdir` has files that an earlier run stored and"
          " this one does not.",
          "Remove them: `bmrt_test --context_dir` would run the new bmodel on the data of"
          " another one.",
          ["`input_ref_data.dat` and `output_ref_data.dat` are stored with the compare only,"
           " `compiler_profile_*` with `-enable_profile`."]),
    _note("undefined-numbers", "The CPU has NaN or an infinity in some elements, so the compare"
          " leaves them out.",
          "Give an input from the net's real domain with `-cmp_data`.",
          ["A made-up input outside of a layer's domain: the logarithm of a negative number.",
           "A number beyond float32.", "Rows of regions that a host layer did not find."],
          ("bmnetu ... -cmp_data=input.npz",)),
    _note("nothing-compared", "Of these tensors every element was left out of the compare.",
          "Give an input from the net's real domain with `-cmp_data`.",
          ["The same as of undefined-numbers, for a whole tensor."],
          ("bmnetu ... -cmp_data=input.npz",)),
    _note("check-of-fixed-shapes", "`-check` looks at fixed shapes, though `-dyn=true` is given.",
          "Compile with `-dyn=true`: a layer that cannot be dynamic is named before anything is"
          " written.", ["-check and -dyn=true were given together."]),
    # -- a bmodel ------------------------------------------------------------------------------
    _note("made-up-input",
          "`bmnetu-model run` and `debug`: nothing is given by `--input`, so that the numbers are"
          " made up.", "Give `--input`, or nothing where the numbers do not matter.",
          ["--input was not given."],
          ("bmnetu-model run compilation.bmodel --input=input.npz",)),
    _note("fast-function", "With `-fast_functions` this layer computes a function near its own:"
          " some of the 256 results differ by one unit. Several such layers in a row can differ by"
          " more.",
          "Measure what it costs with `bmnetu-calibrate eval -fast_functions`.",
          ["-fast_functions, and a function whose exact chain or table takes longer."],
          ("bmnetu-calibrate eval ... -fast_functions",)),
    _note("input-saturated",
          "`bmnetu-model run` and `debug`: at least half of the real numbers of an input lie beyond"
          " what its 8 bits hold.",
          "Give them in the range of the calibration, with `--mean` and `--scale`; or integers,"
          " which are not scaled.",
          ["Pixels from 0 to 255 where the calibration subtracted a mean and scaled.",
           "Another --scale than that of the calibration."],
          ("bmnetu-model info compilation.bmodel     the scale of every input",)),
    _note("dynamic-left-out",
          "`bmnetu-model profile`: a dynamic stage beside static ones has no"
          " commands in the file that could be counted.", "Nothing; `map` and `debug` take it.",
          ["The file has static and dynamic stages."],
          ("bmnetu-model map compilation.bmodel",)),
    # -- calibration ---------------------------------------------------------------------------
    _note("unused-transform", "The transform_param of the prototxt has no effect on the data.",
          "Nothing, where the arrays are the net's inputs. Else give `-mean`, `-scale`, `-color`,"
          " `-resize` or `-crop`.",
          ["The data are arrays, which are fed as they are.",
           "The net has several inputs, and a transform_param is for one."]),
    _note("flag-before-transform", "A flag says something else of the data than the transform_param"
          " of the prototxt. The flag is taken.", "Nothing, where this is meant.",
          ["The net is used with another preprocess than it was trained with.", "A typo."]),
    _note("equal-pixels", "All pixels of these images are equal.",
          "Look at the images; remove those that show nothing.",
          ["A damaged or empty image, or a black frame of a video."]),
    _note("data-range", "The numbers of the data do not look like pixels, or not like what the net"
          " gets.", "Check `-mean` and `-scale`, and whether they are in the data already.",
          ["Mean and scale were applied when the arrays were stored, and are applied again.",
           "Pixels from 0 to 1 where 0 to 255 are meant, or the other way round."]),
    _note("uncounted-objects", "Objects of the annotations do not count: `-label_map` does not have"
          " their class.", "Add the class to the label map, where the net detects it.",
          ["The net detects fewer classes than the annotations have.",
           "A name is spelled differently."]),
    _note("not-finite", "A tensor of the float net has NaN or an infinity for some of the data;"
          " these numbers do not count.", "Check the data and the preprocess.",
          ["The data are not from the net's domain.", "Weights of another network."]),
    _note("one-sample", "With `-th_method=AUTO` there is one sample to judge by, which is too few.",
          "Give more data; some hundreds of images are usual.",
          ["The data have few batches, or -iterations is small."]),
    _note("stays-float", "A layer computes in float, as its weights do not fit 8 bits.",
          "Nothing. It is slower than in 8 bits.",
          ["One coefficient is very much larger than the others.",
           "A BatchNorm with a variance of nearly zero was folded into the weights."]),
    _note("int8-loss", "Something looks lost in 8 bits: in a layer, or at an output. The sentence"
          " has the number, and the flag that helps.",
          "Try the flag, and measure with `bmnetu-calibrate eval`.",
          ["Operands of a Concat with very different ranges, which get one scale.",
           "A channel that is much smaller than the others of its tensor.",
           "A threshold that cuts much of the numbers.", "Biases that do not fit 16 bits."],
          ("bmnetu-calibrate ... -fpfwd_blocks=conv1   this layer stays float",
           "bmnetu-calibrate ... -layer_table          what every tensor loses",
           "bmnetu-calibrate what_if ... -layer=conv1  what other settings would change")),
)  # fmt: skip
"""By code."""
