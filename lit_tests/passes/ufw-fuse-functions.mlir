// RUN: bmnetu-opt %s -p ufw-fuse-functions | filecheck %s

// Hard-swish by add, clip, multiply and divide is one function, named after the last layer.

// CHECK: func.func @main
func.func @main(%x: tensor<1x4x5x5xf32>) -> (tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>) attributes {input_names = ["x"], output_names = ["swish", "silu", "odd", "gelu", "read"]} {
  %add = ufw.pointwise "power" ["add"] %x with {shift = 3.000000e+00 : f32} : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %clip = ufw.pointwise "clip" ["clip"] %add with {min = 0.000000e+00 : f32, max = 6.000000e+00 : f32} : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %mul = ufw.eltwise product ["mul"] %x, %clip : (tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
// CHECK-NEXT: %div = ufw.pointwise "hswish" ["swish"] %x : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %div = ufw.pointwise "power" ["swish"] %mul with {scale = 0.166666672 : f32} : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %sigmoid = ufw.pointwise "sigmoid" ["sigmoid"] %div : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
// CHECK-NEXT: %silu = ufw.pointwise "swish" ["silu"] %div : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %silu = ufw.eltwise product ["silu"] %div, %sigmoid : (tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>

// What is no known function is composed of its steps.

  %abs = ufw.pointwise "abs" ["abs"] %x : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
// CHECK-NEXT: %odd = ufw.pointwise "v0 = abs(x); power(v0, power=1.5)" ["odd"] %x : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %odd = ufw.pointwise "power" ["odd"] %abs with {power = 1.500000e+00 : f32} : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %half = ufw.pointwise "power" ["half"] %x with {scale = 0.707106769 : f32} : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %erf = ufw.pointwise "erf" ["erf"] %half : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %one = ufw.pointwise "power" ["one"] %erf with {shift = 1.000000e+00 : f32} : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %by = ufw.eltwise product ["by"] %x, %one : (tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
// CHECK-NEXT: %gelu = ufw.pointwise "gelu" ["gelu"] %x : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %gelu = ufw.pointwise "power" ["gelu"] %by with {scale = 5.000000e-01 : f32} : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>

// A result that is read elsewhere ends a function; a ReLU behind a sum is the sum's.

// CHECK-NEXT: %sum = ufw.eltwise sum
  %sum = ufw.eltwise sum ["sum"] %x, %gelu : (tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
// CHECK-NEXT: %relu = ufw.relu
  %relu = ufw.relu ["relu"] %sum : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
// CHECK-NEXT: %read = ufw.pointwise "sub(1.0, x)" ["read"] %relu
  %read = ufw.pointwise "sub(1.0, x)" ["read"] %relu : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  func.return %div, %silu, %odd, %gelu, %read : tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>, tensor<1x4x5x5xf32>
}
