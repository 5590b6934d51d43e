// RUN: bmnetu-opt -p quant-choose-matmul --weights %S/Inputs/weights.npz %s | filecheck %s

// Of 16 rows the outputs become pixels, and the bias the last row of the weights; of 2 rows the
// inner product stays.

// CHECK: func.func @main
// CHECK-NEXT: [[R:%.*]] = quant.reshape %x tops ["x4"]
// CHECK-NEXT: [[W:%.*]] = quant.constant <"{{.*}}", "float32", [4, 2]> tops ["y/weights"] : tensor<4x2xf32>
// CHECK-NEXT: [[A:%.*]] = quant.reshape [[R]] tops ["y/rows"] : tensor<16x3x1x1xf32> -> tensor<16x3xf32>
// CHECK-NEXT: [[P:%.*]] = quant.matmul [[A]], [[W]] bias true relu true tops ["y/product"] : tensor<16x3xf32>, tensor<4x2xf32> -> tensor<16x2xf32>
// CHECK-NEXT: quant.reshape [[P]] tops ["y"] : tensor<16x2xf32> -> tensor<16x2x1x1xf32>
// CHECK-NEXT: quant.conv %few weight
func.func @main(%x: tensor<16x3xf32>, %few: tensor<2x3x1x1xf32>) -> (tensor<16x2x1x1xf32>, tensor<2x2x1x1xf32>) attributes {input_names = ["x", "few"], output_names = ["y", "z"]} {
  %x4 = quant.reshape %x tops ["x4"] : tensor<16x3xf32> -> tensor<16x3x1x1xf32>
  %y = quant.conv %x4 weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> bias <"60f83fd0cda76d99", "float32", [2]> relu true tops ["y"] : tensor<16x3x1x1xf32> -> tensor<16x2x1x1xf32>
  %z = quant.conv %few weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["z"] : tensor<2x3x1x1xf32> -> tensor<2x2x1x1xf32>
  func.return %y, %z : tensor<16x2x1x1xf32>, tensor<2x2x1x1xf32>
}
