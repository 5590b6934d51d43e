// RUN: bmnetu-opt %s | bmnetu-opt | filecheck %s

// Layers that add over many numbers: what is printed is what was written.

// CHECK: func.func @main
func.func @main(%x: tensor<2x4x5x7xf32>) {
// CHECK: ufw.lrn ["t0"] %{{.*}} size 3 alpha 5.000000e-01 beta 5.000000e-01 k 2.000000e+00 : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y0 = ufw.lrn ["t0"] %x size 3 alpha 5.000000e-01 beta 5.000000e-01 k 2.000000e+00 : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.reduce mean ["t1"] %{{.*}} axes [1, 2] keep_dims false : (tensor<2x4x5x7xf32>) -> tensor<2x7xf32>
  %y1 = ufw.reduce mean ["t1"] %x axes [1, 2] keep_dims false : (tensor<2x4x5x7xf32>) -> tensor<2x7xf32>
// CHECK: ufw.reduce sum_squares ["t2"] %{{.*}} axes [0, 1, 2, 3] keep_dims false coefficient 5.000000e-01 : (tensor<2x4x5x7xf32>) -> tensor<1xf32>
  %y2 = ufw.reduce sum_squares ["t2"] %x axes [0, 1, 2, 3] keep_dims false coefficient 5.000000e-01 : (tensor<2x4x5x7xf32>) -> tensor<1xf32>
// CHECK: ufw.reduce sum ["t3"] %{{.*}} axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
  %y3 = ufw.reduce sum ["t3"] %x axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
// CHECK: ufw.reduce mean ["t4"] %{{.*}} axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
  %y4 = ufw.reduce mean ["t4"] %x axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
// CHECK: ufw.reduce max ["t5"] %{{.*}} axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
  %y5 = ufw.reduce max ["t5"] %x axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
// CHECK: ufw.reduce min ["t6"] %{{.*}} axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
  %y6 = ufw.reduce min ["t6"] %x axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
// CHECK: ufw.reduce prod ["t7"] %{{.*}} axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
  %y7 = ufw.reduce prod ["t7"] %x axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
// CHECK: ufw.reduce l1 ["t8"] %{{.*}} axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
  %y8 = ufw.reduce l1 ["t8"] %x axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
// CHECK: ufw.reduce l2 ["t9"] %{{.*}} axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
  %y9 = ufw.reduce l2 ["t9"] %x axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
// CHECK: ufw.reduce sum_squares ["t10"] %{{.*}} axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
  %y10 = ufw.reduce sum_squares ["t10"] %x axes [1, 3] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x1xf32>
// CHECK: ufw.arg ["t11"] %{{.*}} values [0] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x7xf32>
  %y11 = ufw.arg ["t11"] %x values [0] : (tensor<2x4x5x7xf32>) -> tensor<2x1x5x7xf32>
// CHECK: ufw.arg ["t12", "t122"] %{{.*}} values [0, 1] axis 3 smallest true : (tensor<2x4x5x7xf32>) -> (tensor<2x4x5x1xf32>, tensor<2x4x5x1xf32>)
  %y12_0, %y12_1 = ufw.arg ["t12", "t122"] %x values [0, 1] axis 3 smallest true : (tensor<2x4x5x7xf32>) -> (tensor<2x4x5x1xf32>, tensor<2x4x5x1xf32>)
// CHECK: ufw.arg ["t13"] %{{.*}} values [0] flat true : (tensor<2x4x5x7xf32>) -> tensor<2x1x1x1xf32>
  %y13 = ufw.arg ["t13"] %x values [0] flat true : (tensor<2x4x5x7xf32>) -> tensor<2x1x1x1xf32>
// CHECK: ufw.arg ["t14"] %{{.*}} values [1] flat true pairs true : (tensor<2x4x5x7xf32>) -> tensor<2x2x1x1xf32>
  %y14 = ufw.arg ["t14"] %x values [1] flat true pairs true : (tensor<2x4x5x7xf32>) -> tensor<2x2x1x1xf32>
// CHECK: ufw.standardize ["t15"] %{{.*}} axes [2, 3] eps 1.000000e-03 weight <"ff9b962d18f1de95", "float32", [4]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y15 = ufw.standardize ["t15"] %x axes [2, 3] eps 1.000000e-03 weight <"ff9b962d18f1de95", "float32", [4]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.standardize ["t16"] %{{.*}} axes [1, 2, 3] eps 1.000000e-09 eps_outside true : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y16 = ufw.standardize ["t16"] %x axes [1, 2, 3] eps 1.000000e-09 eps_outside true : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.standardize ["t17"] %{{.*}} axes [] groups 2 weight <"ff9b962d18f1de95", "float32", [4]> bias <"ff9b962d18f1de95", "float32", [4]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y17 = ufw.standardize ["t17"] %x axes [] groups 2 weight <"ff9b962d18f1de95", "float32", [4]> bias <"ff9b962d18f1de95", "float32", [4]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.standardize ["t18"] %{{.*}} axes [3] weight <"819a392eed27f6d6", "float32", [7]> bias <"819a392eed27f6d6", "float32", [7]> affine_axis 3 : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y18 = ufw.standardize ["t18"] %x axes [3] weight <"819a392eed27f6d6", "float32", [7]> bias <"819a392eed27f6d6", "float32", [7]> affine_axis 3 : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.standardize ["t19"] %{{.*}} axes [0, 2, 3] divide false bias <"ff9b962d18f1de95", "float32", [4]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y19 = ufw.standardize ["t19"] %x axes [0, 2, 3] divide false bias <"ff9b962d18f1de95", "float32", [4]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.normalize ["t20"] %{{.*}} weight <"ff9b962d18f1de95", "float32", [4]> across_spatial false eps 1.000000e-08 : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y20 = ufw.normalize ["t20"] %x weight <"ff9b962d18f1de95", "float32", [4]> across_spatial false eps 1.000000e-08 : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.normalize ["t21"] %{{.*}} weight <"f608e8f2c40f4e9a", "float32", [1]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y21 = ufw.normalize ["t21"] %x weight <"f608e8f2c40f4e9a", "float32", [1]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
// CHECK: ufw.pooling average ["t22"] %{{.*}} kernel [3, 3] stride [2, 1] pad [1, 1, 1, 1] exclude_pad true : (tensor<2x4x5x7xf32>) -> tensor<2x4x3x7xf32>
  %y22 = ufw.pooling average ["t22"] %x kernel [3, 3] stride [2, 1] pad [1, 1, 1, 1] exclude_pad true : (tensor<2x4x5x7xf32>) -> tensor<2x4x3x7xf32>
// CHECK: ufw.recurrent lstm ["t23"] %{{.*}} weight <"7bd3e801ee367482", "float32", [1, 12, 35]> bias <"a12846c2687422bb", "float32", [1, 12]> hidden_weight <"0a7a66246ab3fdf6", "float32", [1, 12, 3]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x3xf32>
  %y23 = ufw.recurrent lstm ["t23"] %x weight <"7bd3e801ee367482", "float32", [1, 12, 35]> bias <"a12846c2687422bb", "float32", [1, 12]> hidden_weight <"0a7a66246ab3fdf6", "float32", [1, 12, 3]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x3xf32>
// CHECK: ufw.recurrent gru ["t24"] %{{.*}} weight <"682150ae689cb663", "float32", [1, 9, 35]> bias <"c900eeca4007b88d", "float32", [1, 9]> hidden_weight <"6e9777b74cbec5f4", "float32", [1, 9, 3]> hidden_bias <"c900eeca4007b88d", "float32", [1, 9]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x3xf32>
  %y24 = ufw.recurrent gru ["t24"] %x weight <"682150ae689cb663", "float32", [1, 9, 35]> bias <"c900eeca4007b88d", "float32", [1, 9]> hidden_weight <"6e9777b74cbec5f4", "float32", [1, 9, 3]> hidden_bias <"c900eeca4007b88d", "float32", [1, 9]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x3xf32>
// CHECK: ufw.recurrent gru ["first"] %{{.*}} weight <"682150ae689cb663", "float32", [1, 9, 35]> bias <"c900eeca4007b88d", "float32", [1, 9]> hidden_weight <"6e9777b74cbec5f4", "float32", [1, 9, 3]> resets_first true : (tensor<2x4x5x7xf32>) -> tensor<2x4x3xf32>
  %first = ufw.recurrent gru ["first"] %x weight <"682150ae689cb663", "float32", [1, 9, 35]> bias <"c900eeca4007b88d", "float32", [1, 9]> hidden_weight <"6e9777b74cbec5f4", "float32", [1, 9, 3]> resets_first true : (tensor<2x4x5x7xf32>) -> tensor<2x4x3xf32>
// CHECK: ufw.recurrent rnn ["t25"] %{{.*}} weight <"6f5e00403bc7032e", "float32", [1, 3, 35]> bias <"b13f61898b68cac3", "float32", [1, 3]> hidden_weight <"2a227beeed4031ee", "float32", [1, 3, 3]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x3xf32>
  %y25 = ufw.recurrent rnn ["t25"] %x weight <"6f5e00403bc7032e", "float32", [1, 3, 35]> bias <"b13f61898b68cac3", "float32", [1, 3]> hidden_weight <"2a227beeed4031ee", "float32", [1, 3, 3]> : (tensor<2x4x5x7xf32>) -> tensor<2x4x3xf32>
// CHECK: ufw.recurrent lstm ["t26"] %{{.*}} weight <"f7620ab093a7a2fa", "float32", [2, 8, 140]> bias <"afe07b5ea1fc7469", "float32", [2, 8]> hidden_weight <"815218ba1c93c132", "float32", [2, 8, 2]> clip 5.000000e-01 batch [1] : (tensor<2x4x5x7xf32>) -> tensor<2x4xf32>
  %y26 = ufw.recurrent lstm ["t26"] %x weight <"f7620ab093a7a2fa", "float32", [2, 8, 140]> bias <"afe07b5ea1fc7469", "float32", [2, 8]> hidden_weight <"815218ba1c93c132", "float32", [2, 8, 2]> clip 5.000000e-01 batch [1] : (tensor<2x4x5x7xf32>) -> tensor<2x4xf32>
// CHECK: ufw.matmul ["t27"] %{{.*}}, %{{.*}} transpose_b true : (tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<2x4x5x5xf32>
  %y27 = ufw.matmul ["t27"] %x, %x transpose_b true : (tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<2x4x5x5xf32>
// CHECK: ufw.matmul ["t28"] %{{.*}}, %{{.*}} transpose_a true : (tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<2x4x7x7xf32>
  %y28 = ufw.matmul ["t28"] %x, %x transpose_a true : (tensor<2x4x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<2x4x7x7xf32>
// CHECK: ufw.lrn ["t29"] %{{.*}} size 3 within true : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %y29 = ufw.lrn ["t29"] %x size 3 within true : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  func.return
}
