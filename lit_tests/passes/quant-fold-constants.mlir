// RUN: bmnetu-opt -p quant-fold-constants --weights %S/Inputs/weights.npz %s | filecheck %s

// Joined and reshaped constants are one; what the network computes stays. A constant that nothing
// reads any more is gone.

// CHECK: func.func @main
// CHECK-NEXT: quant.constant <"{{[0-9a-f]*}}", "float32", [1, 4]> tops ["flat"] : tensor<1x4xf32>
// CHECK-NEXT: quant.eltwise
// CHECK-NEXT: func.return
func.func @main(%x: tensor<1x4xf32>) -> tensor<1x4xf32> attributes {input_names = ["x"], output_names = ["y"]} {
  %a = quant.constant <"60f83fd0cda76d99", "float32", [2]> tops ["a"] : tensor<2xf32>
  %c = quant.concat(%a, %a) axis 0 tops ["c"] : tensor<2xf32>, tensor<2xf32> -> tensor<4xf32>
  %flat = quant.reshape %c tops ["flat"] : tensor<4xf32> -> tensor<1x4xf32>
  %y = quant.eltwise sum(%x, %flat) coefficients [1.0, 1.0] tops ["y"] : tensor<1x4xf32>, tensor<1x4xf32> -> tensor<1x4xf32>
  func.return %y : tensor<1x4xf32>
}
