// RUN: bmnetu-opt %s | bmnetu-opt | filecheck %s

// CHECK: func.func @main
func.func @main(%x: tensor<2x4x5x7xf32>, %g: tensor<1x64x7x2xf32>, %k: tensor<2x4x8x5xf32>, %h: tensor<1x192x7x2xf32>) {
// CHECK: quant.reduce sum %{{.*}} axes [1] tops ["s"] : tensor<2x4x5x7xf32> -> tensor<2x1x5x7xf32>
  %s = quant.reduce sum %x axes [1] tops ["s"] : tensor<2x4x5x7xf32> -> tensor<2x1x5x7xf32>
// CHECK: quant.reduce max %{{.*}} axes [2, 3] tops ["m"] : tensor<2x4x5x7xf32> -> tensor<2x4x1x1xf32>
  %m = quant.reduce max %x axes [2, 3] tops ["m"] : tensor<2x4x5x7xf32> -> tensor<2x4x1x1xf32>
// CHECK: quant.recurrent rnn %{{.*}} weight <"d5a0b1b2d5a0b1b2", "float32", [1, 5, 5]> reverse true tops ["r"] : (tensor<1x64x7x2xf32>) -> tensor<1x5x7x2xf32>
  %r = quant.recurrent rnn %g weight <"d5a0b1b2d5a0b1b2", "float32", [1, 5, 5]> reverse true tops ["r"] : (tensor<1x64x7x2xf32>) -> tensor<1x5x7x2xf32>
// CHECK: quant.recurrent gru %{{.*}} weight <"d5a0b1b2d5a0b1b3", "float32", [3, 5, 5]> resets_first true tops ["n"] : (tensor<1x192x7x2xf32>) -> tensor<1x5x7x2xf32>
  %n = quant.recurrent gru %h weight <"d5a0b1b2d5a0b1b3", "float32", [3, 5, 5]> resets_first true tops ["n"] : (tensor<1x192x7x2xf32>) -> tensor<1x5x7x2xf32>
// CHECK: quant.matmul %{{.*}}, %{{.*}} transpose_b true tops ["p"] : tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32> -> tensor<2x4x5x5xf32>
  %p = quant.matmul %x, %x transpose_b true tops ["p"] : tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32> -> tensor<2x4x5x5xf32>
// CHECK: quant.matmul %{{.*}}, %{{.*}} bias true relu true tops ["b"] : tensor<2x4x5x7xf32>, tensor<2x4x8x5xf32> -> tensor<2x4x5x5xf32>
  %b = quant.matmul %x, %k bias true relu true tops ["b"] : tensor<2x4x5x7xf32>, tensor<2x4x8x5xf32> -> tensor<2x4x5x5xf32>
  func.return
}
