// RUN: bmnetu-opt %s | bmnetu-opt | filecheck %s

// Layers that cut, pad, repeat, resize, rearrange and unpool: what is printed is what was written.

// CHECK: func.func @main
func.func @main(%x: tensor<2x4x5x7xf32>, %q: tensor<2x4x5x7xsi8, #quant.scale<0.25>>) {
// CHECK: ufw.deconvolution ["t"] %{{.*}} weight <"b51458a3e2999f29", "float32", [6, 2, 3, 4]> bias <"e876093d559d21a8", "float32", [6]> stride [2, 3] pad [1, 0, 2, 1] dilation [1, 2] group 2 : (tensor<2x4x5x7xf32>) -> tensor<2x6x10x22xf32>
  %y0_0 = ufw.deconvolution ["t"] %x weight <"b51458a3e2999f29", "float32", [6, 2, 3, 4]> bias <"e876093d559d21a8", "float32", [6]> stride [2, 3] pad [1, 0, 2, 1] dilation [1, 2] group 2 : (tensor<2x4x5x7xf32>) -> tensor<2x6x10x22xf32>
// CHECK: ufw.deconvolution ["t"] %{{.*}} weight <"efad61a2b64e9679", "int8", [4, 1, 2, 2]> bias <"406c2db4150a29d5", "int16", [4]> stride [2, 2] group 4 right_shift 7 : (tensor<2x4x5x7xsi8, #quant.scale<0.25>>) -> tensor<2x4x10x14xsi8, #quant.scale<0.5>>
  %y1_0 = ufw.deconvolution ["t"] %q weight <"efad61a2b64e9679", "int8", [4, 1, 2, 2]> bias <"406c2db4150a29d5", "int16", [4]> stride [2, 2] group 4 right_shift 7 : (tensor<2x4x5x7xsi8, #quant.scale<0.25>>) -> tensor<2x4x10x14xsi8, #quant.scale<0.5>>
// CHECK: ufw.strided_slice ["t"] %{{.*}}, %{{.*}} begin [0, 3, 4, 1] extent [2, 1, 5, 3] step [1, 1, -1, 2] shrink [1] : (tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<2x5x3xf32>
  %y2_0 = ufw.strided_slice ["t"] %x, %x begin [0, 3, 4, 1] extent [2, 1, 5, 3] step [1, 1, -1, 2] shrink [1] : (tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<2x5x3xf32>
// CHECK: ufw.pad constant ["t"] %{{.*}} before [0, 1, 2, -1] after [0, 0, 1, -2] : (tensor<2x4x5x7xf32>) -> tensor<2x5x8x4xf32>
  %y3_0 = ufw.pad constant ["t"] %x before [0, 1, 2, -1] after [0, 0, 1, -2] : (tensor<2x4x5x7xf32>) -> tensor<2x5x8x4xf32>
// CHECK: ufw.pad constant ["t"] %{{.*}} before [0, 0, 1, 1] after [0, 0, 1, 1] value 1.500000e+00 : (tensor<2x4x5x7xf32>) -> tensor<2x4x7x9xf32>
  %y4_0 = ufw.pad constant ["t"] %x before [0, 0, 1, 1] after [0, 0, 1, 1] value 1.500000e+00 : (tensor<2x4x5x7xf32>) -> tensor<2x4x7x9xf32>
// CHECK: ufw.pad reflect ["t"] %{{.*}} before [1, 0, 2, 3] after [0, 1, 1, 0] : (tensor<2x4x5x7xf32>) -> tensor<3x5x8x10xf32>
  %y5_0 = ufw.pad reflect ["t"] %x before [1, 0, 2, 3] after [0, 1, 1, 0] : (tensor<2x4x5x7xf32>) -> tensor<3x5x8x10xf32>
// CHECK: ufw.pad edge ["t"] %{{.*}} before [0, 0, 2, 3] after [0, 0, 1, -1] : (tensor<2x4x5x7xf32>) -> tensor<2x4x8x9xf32>
  %y6_0 = ufw.pad edge ["t"] %x before [0, 0, 2, 3] after [0, 0, 1, -1] : (tensor<2x4x5x7xf32>) -> tensor<2x4x8x9xf32>
// CHECK: ufw.pad symmetric ["t"] %{{.*}} before [0, 0, 2, 3] after [0, 0, 1, 0] : (tensor<2x4x5x7xf32>) -> tensor<2x4x8x10xf32>
  %y7_0 = ufw.pad symmetric ["t"] %x before [0, 0, 2, 3] after [0, 0, 1, 0] : (tensor<2x4x5x7xf32>) -> tensor<2x4x8x10xf32>
// CHECK: ufw.tile ["t"] %{{.*}} axis 1 tiles 3 : (tensor<2x4x5x7xf32>) -> tensor<2x12x5x7xf32>
  %y8_0 = ufw.tile ["t"] %x axis 1 tiles 3 : (tensor<2x4x5x7xf32>) -> tensor<2x12x5x7xf32>
// CHECK: ufw.resize linear align_corners ["t"] %{{.*}} size [9, 3] crop [1, 0, 0, 2] : (tensor<2x4x5x7xf32>) -> tensor<2x4x9x3xf32>
  %y9_0 = ufw.resize linear align_corners ["t"] %x size [9, 3] crop [1, 0, 0, 2] : (tensor<2x4x5x7xf32>) -> tensor<2x4x9x3xf32>
// CHECK: ufw.resize linear half_pixel ["t"] %{{.*}} size [10, 14] : (tensor<2x4x5x7xf32>) -> tensor<2x4x10x14xf32>
  %y10_0 = ufw.resize linear half_pixel ["t"] %x size [10, 14] : (tensor<2x4x5x7xf32>) -> tensor<2x4x10x14xf32>
// CHECK: ufw.resize nearest asymmetric ["t"] %{{.*}} size [8, 14] : (tensor<2x4x5x7xf32>) -> tensor<2x4x8x14xf32>
  %y11_0 = ufw.resize nearest asymmetric ["t"] %x size [8, 14] : (tensor<2x4x5x7xf32>) -> tensor<2x4x8x14xf32>
// CHECK: ufw.rearrange ["t"] %{{.*}} split [2, 2, 2, 5, 7] order [0, 2, 1, 3, 4] : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y12_0 = ufw.rearrange ["t"] %x split [2, 2, 2, 5, 7] order [0, 2, 1, 3, 4] : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.im2col ["t"] %{{.*}} kernel [3, 2] stride [2, 1] pad [1, 1, 0, 0] dilation [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x24x3x4xf32>
  %y13_0 = ufw.im2col ["t"] %x kernel [3, 2] stride [2, 1] pad [1, 1, 0, 0] dilation [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x24x3x4xf32>
// CHECK: ufw.max_pool_mask ["t", "u"] %{{.*}} kernel [2, 3] stride [2, 2] pad [0, 0, 1, 1] ceil false : (tensor<2x4x5x7xf32>) -> (tensor<2x4x2x4xf32>, tensor<2x4x2x4xf32>)
  %y14_0, %y14_1 = ufw.max_pool_mask ["t", "u"] %x kernel [2, 3] stride [2, 2] pad [0, 0, 1, 1] ceil false : (tensor<2x4x5x7xf32>) -> (tensor<2x4x2x4xf32>, tensor<2x4x2x4xf32>)
// CHECK: ufw.unpool ["t"] %{{.*}}, %{{.*}} size [10, 13] kernel [2, 3] stride [2, 2] pad [0, 0, 1, 1] : (tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<2x4x10x13xf32>
  %y15_0 = ufw.unpool ["t"] %x, %x size [10, 13] kernel [2, 3] stride [2, 2] pad [0, 0, 1, 1] : (tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<2x4x10x13xf32>
  func.return
}
