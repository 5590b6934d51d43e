// RUN: not bmnetu-opt --weights %S/Inputs/weights.npz -p convert-quant-to-record --split-input-file %s 2>&1 | filecheck %s

!x = tensor<1x3x4x4xf32>
!y = tensor<1x3x4x4xf32>
!z = tensor<1x3x2x4xf32>

// A layer that is another one in a sample is named.

// CHECK: bmnetu-opt: error: net.prototxt:7: layer "flip": it computes with numbers that follow from the shape (its "axis")
func.func @main(%x: !x) -> !y attributes {input_names = ["x"], output_names = ["y"]} {
  %y = quant.softmax %x axis 1 tops ["y"] : !x -> !y loc("flip"("net.prototxt":7:0))
  func.return %y : !y
}
func.func @sample_1(%x: !z) -> !z attributes {input_names = ["x"], output_names = ["y"], sample_of = ["height"]} {
  %y = quant.softmax %x axis 2 tops ["y"] : !z -> !z
  func.return %y : !z
}
