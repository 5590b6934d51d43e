// RUN: bmnetu-opt %s | bmnetu-opt | filecheck %s

// Layers of detection networks: what is printed is what was written.

// CHECK: func.func @main
func.func @main(%x: tensor<1x4x2x3xf32>, %y: tensor<1x3x20x30xf32>) {
// CHECK: ufw.prior_box ["t0"] %{{.*}}, %{{.*}} width [5.000000e+00, 6.500000e+00] height [7.000000e+00, 8.000000e+00] variance [2.500000e-01, 2.500000e-01, 5.000000e-01, 5.000000e-01] offset 5.000000e-01 : f32 clip false yx_order false : (tensor<1x4x2x3xf32>, tensor<1x3x20x30xf32>) -> tensor<1x2x48xf32>
  %z0 = ufw.prior_box ["t0"] %x, %y width [5.0, 6.5] height [7.0, 8.0] variance [0.25, 0.25, 0.5, 0.5] offset 0.5 : f32 clip false yx_order false : (tensor<1x4x2x3xf32>, tensor<1x3x20x30xf32>) -> tensor<1x2x48xf32>
// CHECK: ufw.prior_box ["t1"] %{{.*}} width [5.000000e+00] height [7.000000e+00] variance [2.500000e-01, 2.500000e-01, 5.000000e-01, 5.000000e-01] offset 2.500000e-01 : f32 step [4.000000e+00, 5.000000e+00] image [10, 20] clip true yx_order true : (tensor<1x4x2x3xf32>) -> tensor<1x2x24xf32>
  %z1 = ufw.prior_box ["t1"] %x width [5.0] height [7.0] variance [0.25, 0.25, 0.5, 0.5] offset 0.25 : f32 step [4.0, 5.0] image [10, 20] clip true yx_order true : (tensor<1x4x2x3xf32>) -> tensor<1x2x24xf32>
  func.return
}
