// RUN: bmnetu-opt %s | bmnetu-opt | filecheck %s

// Every op of the dialect: what is printed is what was written.

// CHECK: func.func @main
func.func @main(%x: tensor<1x3x8x8xf32>, %q: tensor<1x3x8x8xsi8, #quant.scale<0.25>>) {
// CHECK: ufw.convolution ["conv"] %{{.*}} weight <"7181ff4027991f70", "float32", [4, 3, 3, 3]> bias <"5250a507f994740e", "float32", [4]> stride [2, 1] pad [1, 1, 1, 1] winograd false : (tensor<1x3x8x8xf32>) -> tensor<1x4x4x8xf32>
  %conv = ufw.convolution ["conv"] %x weight <"7181ff4027991f70", "float32", [4, 3, 3, 3]> bias <"5250a507f994740e", "float32", [4]> stride [2, 1] pad [1, 1, 1, 1] winograd false : (tensor<1x3x8x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.convolution ["fixed"] %{{.*}} weight <"22183325fbb0d3ed", "int8", [4, 3, 3, 3]> bias <"ca08ea5bca49cc18", "int16", [4]> right_shift 3 : (tensor<1x3x8x8xsi8, #quant.scale<0.25>>) -> tensor<1x4x6x6xui8, #quant.scale<0.5>>
  %fixed = ufw.convolution ["fixed"] %q weight <"22183325fbb0d3ed", "int8", [4, 3, 3, 3]> bias <"ca08ea5bca49cc18", "int16", [4]> right_shift 3 : (tensor<1x3x8x8xsi8, #quant.scale<0.25>>) -> tensor<1x4x6x6xui8, #quant.scale<0.5>>
// CHECK: ufw.relu ["relu"] %{{.*}} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %relu = ufw.relu ["relu"] %conv : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.relu ["leaky"] %{{.*}} negative_slope 1.000000e-01 : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %leaky = ufw.relu ["leaky"] %conv negative_slope 1.000000e-01 : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.prelu ["prelu"] %{{.*}} slope <"4e842f2f50cc089e", "float32", [1]> : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %prelu = ufw.prelu ["prelu"] %conv slope <"4e842f2f50cc089e", "float32", [1]> : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.pooling average ["pool"] %{{.*}} kernel [2, 2] stride [2, 2] ceil false : (tensor<1x4x4x8xf32>) -> tensor<1x4x2x4xf32>
  %pool = ufw.pooling average ["pool"] %conv kernel [2, 2] stride [2, 2] ceil false : (tensor<1x4x4x8xf32>) -> tensor<1x4x2x4xf32>
// CHECK: ufw.batch_norm ["bn"] %{{.*}} mean <"5250a507f994740e", "float32", [4]> variance <"986ab95f02a37547", "float32", [4]> eps 1.000000e-05 : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %bn = ufw.batch_norm ["bn"] %conv mean <"5250a507f994740e", "float32", [4]> variance <"986ab95f02a37547", "float32", [4]> eps 1.000000e-05 : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.scale ["scale"] %{{.*}} weight <"5250a507f994740e", "float32", [4]> bias <"5250a507f994740e", "float32", [4]> : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %scale = ufw.scale ["scale"] %conv weight <"5250a507f994740e", "float32", [4]> bias <"5250a507f994740e", "float32", [4]> : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.scale ["both"] %{{.*}}, %{{.*}} axis 0 : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %both = ufw.scale ["both"] %conv, %scale axis 0 : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.bias ["bias"] %{{.*}} bias <"5250a507f994740e", "float32", [4]> : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %bias = ufw.bias ["bias"] %conv bias <"5250a507f994740e", "float32", [4]> : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.pointwise "power" ["power"] %{{.*}} with {power = 2.000000e+00 : f32, shift = 5.000000e-01 : f32} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %power = ufw.pointwise "power" ["power"] %conv with {power = 2.000000e+00 : f32, shift = 5.000000e-01 : f32} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.softmax ["softmax"] %{{.*}} axis 3 : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %softmax = ufw.softmax ["softmax"] %conv axis 3 : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.pointwise "sigmoid" ["sigmoid"] %{{.*}} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %sigmoid = ufw.pointwise "sigmoid" ["sigmoid"] %conv : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.pointwise "tanh" ["tanh"] %{{.*}} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %tanh = ufw.pointwise "tanh" ["tanh"] %conv : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.dropout ["dropout"] %{{.*}} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %dropout = ufw.dropout ["dropout"] %conv : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.eltwise sum ["sum"] %{{.*}}, %{{.*}} coefficients [1.000000e+00, -5.000000e-01] : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %sum = ufw.eltwise sum ["sum"] %conv, %relu coefficients [1.000000e+00, -5.000000e-01] : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.binary gt ["binary"] %{{.*}}, %{{.*}} : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %binary = ufw.binary gt ["binary"] %conv, %relu : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.select ["select"] %{{.*}}, %{{.*}}, %{{.*}} : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %select = ufw.select ["select"] %binary, %conv, %relu : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.log_softmax ["log_softmax"] %{{.*}} axis 2 : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %log_softmax = ufw.log_softmax ["log_softmax"] %conv axis 2 : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.pointwise "a = hsigmoid(x); mul(x, a)" ["composed"] %{{.*}} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
  %composed = ufw.pointwise "a = hsigmoid(x); mul(x, a)" ["composed"] %conv : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.parameter ["parameter"] <"5250a507f994740e", "float32", [4]> : tensor<4xf32>
  %parameter = ufw.parameter ["parameter"] <"5250a507f994740e", "float32", [4]> : tensor<4xf32>
// CHECK: ufw.concat ["concat"] %{{.*}}, %{{.*}} axis 2 : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x8x8xf32>
  %concat = ufw.concat ["concat"] %conv, %relu axis 2 : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x8x8xf32>
// CHECK: ufw.slice ["a", "b"] %{{.*}} : (tensor<1x4x4x8xf32>) -> (tensor<1x1x4x8xf32>, tensor<1x3x4x8xf32>)
  %a, %b = ufw.slice ["a", "b"] %conv : (tensor<1x4x4x8xf32>) -> (tensor<1x1x4x8xf32>, tensor<1x3x4x8xf32>)
// CHECK: ufw.split ["c", "d"] %{{.*}} : (tensor<1x4x4x8xf32>) -> (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>)
  %c, %d = ufw.split ["c", "d"] %conv : (tensor<1x4x4x8xf32>) -> (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>)
// CHECK: ufw.flatten ["flat"] %{{.*}} end_axis 3 : (tensor<1x4x4x8xf32>) -> tensor<1x128xf32>
  %flat = ufw.flatten ["flat"] %conv end_axis 3 : (tensor<1x4x4x8xf32>) -> tensor<1x128xf32>
// CHECK: ufw.inner_product ["fc"] %{{.*}} weight <"78559870df23607d", "float32", [5, 128]> : (tensor<1x128xf32>) -> tensor<1x5xf32>
  %fc = ufw.inner_product ["fc"] %flat weight <"78559870df23607d", "float32", [5, 128]> : (tensor<1x128xf32>) -> tensor<1x5xf32>
// CHECK: ufw.reshape ["reshape"] %{{.*}} : (tensor<1x4x4x8xf32>) -> tensor<2x64xf32>
  %reshape = ufw.reshape ["reshape"] %conv : (tensor<1x4x4x8xf32>) -> tensor<2x64xf32>
// CHECK: ufw.permute ["permute"] %{{.*}} order [0, 2, 3, 1] : (tensor<1x4x4x8xf32>) -> tensor<1x4x8x4xf32>
  %permute = ufw.permute ["permute"] %conv order [0, 2, 3, 1] : (tensor<1x4x4x8xf32>) -> tensor<1x4x8x4xf32>
// CHECK: ufw.cast ["integers"] %{{.*}} : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xi32>
  %integers = ufw.cast ["integers"] %conv : (tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xi32>
// CHECK: ufw.cast ["floats"] %{{.*}} : (tensor<1x4x4x8xi32>) -> tensor<1x4x4x8xf32>
  %floats = ufw.cast ["floats"] %integers : (tensor<1x4x4x8xi32>) -> tensor<1x4x4x8xf32>
// CHECK: ufw.silence [] %{{.*}}, %{{.*}} : tensor<1x5xf32>, tensor<2x64xf32>
  ufw.silence [] %fc, %reshape : tensor<1x5xf32>, tensor<2x64xf32>
  func.return
}
