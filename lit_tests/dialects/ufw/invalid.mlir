// RUN: bmnetu-opt --verify-diagnostics --split-input-file %s | filecheck %s

// CHECK: weights 4x2x1x1 in 1 group(s) require 2 input channels, the input has 3
func.func @main(%0: tensor<1x3x8x8xf32>) {
  %1 = ufw.convolution ["conv"] %0 weight <"00", "float32", [4, 2, 1, 1]> : (tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32>
  func.return
}

// -----

// CHECK: the result is 1x4x7x8, its inputs give 1x4x8x8
func.func @main(%0: tensor<1x3x8x8xf32>) {
  %1 = ufw.convolution ["conv"] %0 weight <"00", "float32", [4, 3, 1, 1]> : (tensor<1x3x8x8xf32>) -> tensor<1x4x7x8xf32>
  func.return
}

// -----

// CHECK: the last pooling window begins outside the input of size 7
func.func @main(%0: tensor<1x1x7x7xf32>) {
  %1 = ufw.pooling max ["pool"] %0 kernel [1, 1] stride [2, 4] : (tensor<1x1x7x7xf32>) -> tensor<1x1x4x3xf32>
  func.return
}

// -----

// CHECK: 1 top name(s) for 2 result(s)
func.func @main(%0: tensor<1xf32>) {
  %1, %2 = ufw.split ["a"] %0 : (tensor<1xf32>) -> (tensor<1xf32>, tensor<1xf32>)
  func.return
}

// -----

// CHECK: a tensor without a #quant.scale holds f32, not si8
func.func @main(%0: tensor<1xsi8>) {
  %1 = ufw.relu ["a"] %0 : (tensor<1xsi8>) -> tensor<1xsi8>
  func.return
}

// -----

// CHECK: with a right_shift weights are int8 and bias int16, not float32 and None
func.func @main(%0: tensor<1x2xf32>) {
  %1 = ufw.inner_product ["fc"] %0 weight <"00", "float32", [3, 2]> right_shift 4 : (tensor<1x2xf32>) -> tensor<1x3xf32>
  func.return
}
