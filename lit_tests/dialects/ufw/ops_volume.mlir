// RUN: bmnetu-opt %s | bmnetu-opt | filecheck %s

// Layers over time, height and width: what is printed is what was written.

// CHECK: func.func @main
func.func @main(%x: tensor<2x4x3x5x7xf32>, %y: tensor<2x4x5x7xf32>) {
// CHECK: ufw.convolution_nd ["t0"] %{{.*}} weight <"d435c002e950f27c", "float32", [6, 2, 2, 3, 1]> bias <"e876093d559d21a8", "float32", [6]> stride [1, 2, 1] pad [1, 1, 0] dilation [2, 1, 1] group 2 : (tensor<2x4x3x5x7xf32>) -> tensor<2x6x3x3x7xf32>
  %z0 = ufw.convolution_nd ["t0"] %x weight <"d435c002e950f27c", "float32", [6, 2, 2, 3, 1]> bias <"e876093d559d21a8", "float32", [6]> stride [1, 2, 1] pad [1, 1, 0] dilation [2, 1, 1] group 2 : (tensor<2x4x3x5x7xf32>) -> tensor<2x6x3x3x7xf32>
// CHECK: ufw.pooling_nd average ["t1"] %{{.*}} kernel [2, 3, 2] stride [1, 2, 3] pad [1, 1, 0] ceil false : (tensor<2x4x3x5x7xf32>) -> tensor<2x4x4x3x2xf32>
  %z1 = ufw.pooling_nd average ["t1"] %x kernel [2, 3, 2] stride [1, 2, 3] pad [1, 1, 0] ceil false : (tensor<2x4x3x5x7xf32>) -> tensor<2x4x4x3x2xf32>
// CHECK: ufw.spp average ["t2"] %{{.*}} levels 2 : (tensor<2x4x5x7xf32>) -> tensor<2x20xf32>
  %z2 = ufw.spp average ["t2"] %y levels 2 : (tensor<2x4x5x7xf32>) -> tensor<2x20xf32>
  func.return
}
