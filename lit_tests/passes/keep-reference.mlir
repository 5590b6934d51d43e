// RUN: bmnetu-opt -p keep-reference,keep-reference %s | filecheck %s

// The clone has the function's names and stands alone; a second run replaces the first one's.

// CHECK: func.func @main(%{{.*}}: tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32> attributes {input_names = ["x"], output_names = ["relu"]}
// CHECK-NEXT: ufw.relu ["relu"]
// CHECK: builtin.module @reference {
// CHECK-NEXT: func.func @main(%[[X:.*]]: tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32> attributes {input_names = ["x"], output_names = ["relu"]}
// CHECK-NEXT: %[[RELU:.*]] = ufw.relu ["relu"] %[[X]]
// CHECK-NEXT: func.return %[[RELU]]
// CHECK-NOT: @reference
func.func @main(%x: tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32> attributes {input_names = ["x"], output_names = ["relu"]} {
  %relu = ufw.relu ["relu"] %x : (tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32>
  func.return %relu : tensor<1x3x4x4xf32>
}
