// RUN: not bmnetu-opt -p verify-records %s 2>&1 | filecheck %s

!t = tensor<2x3x4x4xf32>
!s = tensor<2x3x4x3xf32>

// A record that cuts out the third column where the reference takes the last, which differs at a smaller width only:
// the verdict names the shape, layer, tensor, index and both values.

// CHECK: bmnetu-opt: error: with an input of 2x3x4x3: net.prototxt:7: layer "cut": tensor "y" at [0, 0, 0, 0]: the NPU has {{.*}}, the CPU {{.*}}; {{.*}} of 24 elements differ
func.func @main(%x: !t) -> tensor<2x3x4x1xf32> attributes {input_names = ["x"], output_names = ["y"], coeff_size = 4096 : i64, context_address = 4379906048 : i64, context_size = 4096 : i64} {
  %y = record.slice %x tops ["y"] {from_start = 7 : i32, to_end = 7 : i32, begin = array<i32: 0, 0, 0, 2, 0, 0, 0, 0>, end = array<i32: 0, 0, 0, 3, 0, 0, 0, 0>, rank = 4 : i32} at [-1] : (!t) -> tensor<2x3x4x1xf32> loc("cut"("net.prototxt":7:0))
  func.return %y : tensor<2x3x4x1xf32>
}
builtin.module @reference {
  func.func @main(%x: !t) -> tensor<2x3x4x1xf32> attributes {input_names = ["x"], output_names = ["y"]} {
    %y = quant.slice %x axis 3 begin 2 tops ["y"] : !t -> tensor<2x3x4x1xf32> loc("cut"("net.prototxt":7:0))
    func.return %y : tensor<2x3x4x1xf32>
  }
  func.func @sample_1(%x: !s) -> tensor<2x3x4x1xf32> attributes {input_names = ["x"], output_names = ["y"], sample_of = ["width"]} {
    %y = quant.slice %x axis 3 begin 1 tops ["y"] : !s -> tensor<2x3x4x1xf32> loc("cut"("net.prototxt":7:0))
    func.return %y : tensor<2x3x4x1xf32>
  }
}
