// RUN: bmnetu-opt %s | bmnetu-opt | filecheck %s

// Ops that move rows and columns: what is printed is what was written.

// CHECK: func.func @main
func.func @main(%x: tensor<2x4x5x6xf32>, %q: tensor<2x4x5x6xsi8, #quant.scale<0.5>>, %p: tensor<2x4x2x3xf32>) {
// CHECK-NEXT: %t0 = quant.take %x axis 2 indices <"3994d4342b64b37e", "int32", [3]> fill 1.500000e+00 : f32 tops ["t0"] : tensor<2x4x5x6xf32> -> tensor<2x4x3x6xf32>
  %t0 = quant.take %x axis 2 indices <"3994d4342b64b37e", "int32", [3]> fill 1.500000e+00 : f32 tops ["t0"] : tensor<2x4x5x6xf32> -> tensor<2x4x3x6xf32>
// CHECK-NEXT: %t1 = quant.take %q axis 1 indices <"14bfb497b332d637", "int32", [2]> tops ["t1"] : tensor<2x4x5x6xsi8, #quant.scale<0.5>> -> tensor<2x2x5x6xsi8, #quant.scale<0.5>>
  %t1 = quant.take %q axis 1 indices <"14bfb497b332d637", "int32", [2]> tops ["t1"] : tensor<2x4x5x6xsi8, #quant.scale<0.5>> -> tensor<2x2x5x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %t2 = quant.interpolate %x axis 3 indices <"feb3e2a4a7244ab8", "int32", [3]> weights <"f9ef72ca17d52acc", "float32", [3]> tops ["t2"] : tensor<2x4x5x6xf32> -> tensor<2x4x5x3xf32>
  %t2 = quant.interpolate %x axis 3 indices <"feb3e2a4a7244ab8", "int32", [3]> weights <"f9ef72ca17d52acc", "float32", [3]> tops ["t2"] : tensor<2x4x5x6xf32> -> tensor<2x4x5x3xf32>
// CHECK-NEXT: %t3 = quant.interpolate %q axis 2 indices <"ab3c08c70dd5b6f2", "int32", [2]> weights <"cea7f6130e8dd775", "int8", [2]> tops ["t3"] : tensor<2x4x5x6xsi8, #quant.scale<0.5>> -> tensor<2x4x2x6xsi8, #quant.scale<0.5>>
  %t3 = quant.interpolate %q axis 2 indices <"ab3c08c70dd5b6f2", "int32", [2]> weights <"cea7f6130e8dd775", "int8", [2]> tops ["t3"] : tensor<2x4x5x6xsi8, #quant.scale<0.5>> -> tensor<2x4x2x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %t4 = quant.interleave(%q, %q) step [1, 2] begin [0, 1] tops ["t4"] : tensor<2x4x5x6xsi8, #quant.scale<0.5>>, tensor<2x4x5x6xsi8, #quant.scale<0.5>> -> tensor<2x4x5x9xsi8, #quant.scale<0.5>>
  %t4 = quant.interleave(%q, %q) step [1, 2] begin [0, 1] tops ["t4"] : tensor<2x4x5x6xsi8, #quant.scale<0.5>>, tensor<2x4x5x6xsi8, #quant.scale<0.5>> -> tensor<2x4x5x9xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %t5 = quant.pool_index %x, %p kernel [2, 2] stride [2, 2] pad [0, 0] tops ["t5"] : tensor<2x4x5x6xf32>, tensor<2x4x2x3xf32> -> tensor<2x4x2x3xf32>
  %t5 = quant.pool_index %x, %p kernel [2, 2] stride [2, 2] pad [0, 0] tops ["t5"] : tensor<2x4x5x6xf32>, tensor<2x4x2x3xf32> -> tensor<2x4x2x3xf32>
// CHECK-NEXT: %t6 = quant.unpool %p, %p kernel [2, 2] stride [2, 2] pad [0, 0] tops ["t6"] : tensor<2x4x2x3xf32>, tensor<2x4x2x3xf32> -> tensor<2x4x5x6xf32>
  %t6 = quant.unpool %p, %p kernel [2, 2] stride [2, 2] pad [0, 0] tops ["t6"] : tensor<2x4x2x3xf32>, tensor<2x4x2x3xf32> -> tensor<2x4x5x6xf32>
  func.return
}
