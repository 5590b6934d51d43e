// RUN: bmnetu-opt %s | bmnetu-opt | filecheck %s

// Layers that add over many numbers: what is printed is what was written.

// CHECK: func.func @main
func.func @main(%x: tensor<2x4x5x7xf32>) {
// CHECK: ufw.lrn ["t0"] %{{.*}} size 3 alpha 5.000000e-01 beta 5.000000e-01 k 2.000000e+00 : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y0 = ufw.lrn ["t0"] %x size 3 alpha 5.000000e-01 beta 5.000000e-01 k 2.000000e+00 : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.lrn ["t1"] %{{.*}} size 3 within true : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y1 = ufw.lrn ["t1"] %x size 3 within true : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  func.return
}
