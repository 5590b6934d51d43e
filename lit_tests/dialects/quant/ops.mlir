// RUN: bmnetu-opt %s | bmnetu-opt --print-op-generic | bmnetu-opt | filecheck %s

// Every op of the dialect, on 8-bit tensors and on floats where it takes both. The text comes back as
// it was written, after a turn through the generic form.

// CHECK: func.func @main(%q: tensor<5x4x6x6xsi8, #quant.scale<0.5>>, %u: tensor<5x4x6x6xui8, #quant.scale<0.5>>, %f: tensor<5x4x6x6xf32>)
func.func @main(%q: tensor<5x4x6x6xsi8, #quant.scale<0.5>>, %u: tensor<5x4x6x6xui8, #quant.scale<0.5>>, %f: tensor<5x4x6x6xf32>) {
// CHECK-NEXT: %conv = quant.conv %q weight <"22183325fbb0d3ed", "int8", [8, 2, 3, 3]> bias <"ca08ea5bca49cc18", "int16", [8]> stride [2, 1] pad [1, 1, 0, 2] dilation [1, 2] group 2 shift 7 tops ["conv"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x8x3x4xui8, #quant.scale<0.5>>
  %conv = quant.conv %q weight <"22183325fbb0d3ed", "int8", [8, 2, 3, 3]> bias <"ca08ea5bca49cc18", "int16", [8]> stride [2, 1] pad [1, 1, 0, 2] dilation [1, 2] group 2 shift 7 tops ["conv"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x8x3x4xui8, #quant.scale<0.5>>
// CHECK-NEXT: %plain = quant.conv %f weight <"7181ff4027991f70", "float32", [3, 4, 1, 1]> relu true tops ["plain"] : tensor<5x4x6x6xf32> -> tensor<5x3x6x6xf32>
  %plain = quant.conv %f weight <"7181ff4027991f70", "float32", [3, 4, 1, 1]> relu true tops ["plain"] : tensor<5x4x6x6xf32> -> tensor<5x3x6x6xf32>
// CHECK-NEXT: %added = quant.conv_add %f, %plain weight <"7181ff4027991f70", "float32", [3, 4, 1, 1]> relu true tops ["added"] : tensor<5x4x6x6xf32>, tensor<5x3x6x6xf32> -> tensor<5x3x6x6xf32>
  %added = quant.conv_add %f, %plain weight <"7181ff4027991f70", "float32", [3, 4, 1, 1]> relu true tops ["added"] : tensor<5x4x6x6xf32>, tensor<5x3x6x6xf32> -> tensor<5x3x6x6xf32>
// CHECK-NEXT: %max = quant.max_pool %u kernel [3, 2] stride [2, 2] pad [0, 1, 0, 0] tops ["max"] : tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x3x3xui8, #quant.scale<0.5>>
  %max = quant.max_pool %u kernel [3, 2] stride [2, 2] pad [0, 1, 0, 0] tops ["max"] : tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x3x3xui8, #quant.scale<0.5>>
// CHECK-NEXT: %mean = quant.average_pool %q kernel [6, 6] stride [1, 1] tops ["mean"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x1x1xsi8, #quant.scale<0.5>>
  %mean = quant.average_pool %q kernel [6, 6] stride [1, 1] tops ["mean"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x1x1xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %sum = quant.eltwise sum(%q, %u) multipliers [64, -127] shift 6 tops ["sum"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>>, tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xui8, #quant.scale<0.5>>
  %sum = quant.eltwise sum(%q, %u) multipliers [64, -127] shift 6 tops ["sum"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>>, tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xui8, #quant.scale<0.5>>
// CHECK-NEXT: %product = quant.eltwise product(%q, %u) shift 4 tops ["product"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>>, tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
  %product = quant.eltwise product(%q, %u) shift 4 tops ["product"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>>, tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %larger = quant.eltwise max(%u, %sum) tops ["larger"] : tensor<5x4x6x6xui8, #quant.scale<0.5>>, tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xui8, #quant.scale<0.5>>
  %larger = quant.eltwise max(%u, %sum) tops ["larger"] : tensor<5x4x6x6xui8, #quant.scale<0.5>>, tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xui8, #quant.scale<0.5>>
// CHECK-NEXT: %mix = quant.eltwise sum(%f, %f, %f) coefficients [1.000000e+00, 5.000000e-01, -2.000000e+00] relu true tops ["mix"] : tensor<5x4x6x6xf32>, tensor<5x4x6x6xf32>, tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %mix = quant.eltwise sum(%f, %f, %f) coefficients [1.000000e+00, 5.000000e-01, -2.000000e+00] relu true tops ["mix"] : tensor<5x4x6x6xf32>, tensor<5x4x6x6xf32>, tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %other = quant.requantize %q multiplier 93 shift 6 tops ["other"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x6x6xui8, #quant.scale<0.5>>
  %other = quant.requantize %q multiplier 93 shift 6 tops ["other"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x6x6xui8, #quant.scale<0.5>>
// CHECK-NEXT: %slopes = quant.prelu %q slope <"e0f5ec3a7d3ac5f7", "int8", [4]> shift 5 tops ["slopes"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
  %slopes = quant.prelu %q slope <"e0f5ec3a7d3ac5f7", "int8", [4]> shift 5 tops ["slopes"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %steep = quant.prelu %q slope <"e0f5ec3a7d3ac5f7", "int8", [4]> shift 5 multiplier 3 multiplier_shift 4 tops ["steep"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<2.0>>
  %steep = quant.prelu %q slope <"e0f5ec3a7d3ac5f7", "int8", [4]> shift 5 multiplier 3 multiplier_shift 4 tops ["steep"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<2.0>>
// CHECK-NEXT: %leaky = quant.prelu %f slope <"4e842f2f50cc089e", "float32", [1]> tops ["leaky"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %leaky = quant.prelu %f slope <"4e842f2f50cc089e", "float32", [1]> tops ["leaky"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %table = quant.lookup %u table <"bd2f4a52c9e3bdc9", "uint8", [256]> tops ["table"] : tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
  %table = quant.lookup %u table <"bd2f4a52c9e3bdc9", "uint8", [256]> tops ["table"] : tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %in = quant.quantize %f tops ["in"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
  %in = quant.quantize %f tops ["in"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %out = quant.dequantize %u tops ["out"] : tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xf32>
  %out = quant.dequantize %u tops ["out"] : tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %integers = quant.cast %f tops ["integers"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xi32>
  %integers = quant.cast %f tops ["integers"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xi32>
// CHECK-NEXT: %floats = quant.cast %integers tops ["floats"] : tensor<5x4x6x6xi32> -> tensor<5x4x6x6xf32>
  %floats = quant.cast %integers tops ["floats"] : tensor<5x4x6x6xi32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %sigmoid = quant.pointwise "sigmoid" %f tops ["sigmoid"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %sigmoid = quant.pointwise "sigmoid" %f tops ["sigmoid"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %tanh = quant.pointwise "tanh" %f tops ["tanh"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %tanh = quant.pointwise "tanh" %f tops ["tanh"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %power = quant.pointwise "power" %f with {power = 2.000000e+00 : f32, scale = 5.000000e-01 : f32, shift = 1.000000e+00 : f32} tops ["power"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %power = quant.pointwise "power" %f with {power = 2.000000e+00 : f32, scale = 5.000000e-01 : f32, shift = 1.000000e+00 : f32} tops ["power"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %softmax = quant.softmax %f axis 1 tops ["softmax"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %softmax = quant.softmax %f axis 1 tops ["softmax"] : tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %reshape = quant.reshape %q tops ["reshape"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x144xsi8, #quant.scale<0.5>>
  %reshape = quant.reshape %q tops ["reshape"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x144xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %transpose = quant.transpose %q order [0, 2, 3, 1] tops ["transpose"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x6x6x4xsi8, #quant.scale<0.5>>
  %transpose = quant.transpose %q order [0, 2, 3, 1] tops ["transpose"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x6x6x4xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %concat = quant.concat(%q, %slopes) axis 2 tops ["concat"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>>, tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x12x6xsi8, #quant.scale<0.5>>
  %concat = quant.concat(%q, %slopes) axis 2 tops ["concat"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>>, tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x4x12x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %slice = quant.slice %u axis 1 begin 3 tops ["slice"] : tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x1x6x6xui8, #quant.scale<0.5>>
  %slice = quant.slice %u axis 1 begin 3 tops ["slice"] : tensor<5x4x6x6xui8, #quant.scale<0.5>> -> tensor<5x1x6x6xui8, #quant.scale<0.5>>
// CHECK-NEXT: %wide = quant.broadcast %mean tops ["wide"] : tensor<5x4x1x1xsi8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
  %wide = quant.broadcast %mean tops ["wide"] : tensor<5x4x1x1xsi8, #quant.scale<0.5>> -> tensor<5x4x6x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %row = quant.slice %q axis 0 begin 0 tops ["row"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  %row = quant.slice %q axis 0 begin 0 tops ["row"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %strips = quant.split_strips %row tops ["row"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<4x4x2x6xsi8, #quant.scale<0.5>>
  %strips = quant.split_strips %row tops ["row"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<4x4x2x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %wide_strips = quant.split_strips %row above 1 below 2 fill -128 tops ["row"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
  %wide_strips = quant.split_strips %row above 1 below 2 fill -128 tops ["row"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %halo = quant.exchange_halo %strips height 6 above 1 below 2 fill -128 tops ["row"] : tensor<4x4x2x6xsi8, #quant.scale<0.5>> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
  %halo = quant.exchange_halo %strips height 6 above 1 below 2 fill -128 tops ["row"] : tensor<4x4x2x6xsi8, #quant.scale<0.5>> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %float_row = quant.slice %f axis 0 begin 0 tops ["row"] : tensor<5x4x6x6xf32> -> tensor<1x4x6x6xf32>
  %float_row = quant.slice %f axis 0 begin 0 tops ["row"] : tensor<5x4x6x6xf32> -> tensor<1x4x6x6xf32>
// CHECK-NEXT: %made = quant.quantize_strips %float_row tops ["row"] : tensor<1x4x6x6xf32> -> tensor<4x4x2x6xsi8, #quant.scale<0.5>>
  %made = quant.quantize_strips %float_row tops ["row"] : tensor<1x4x6x6xf32> -> tensor<4x4x2x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %wide_made = quant.quantize_strips %float_row above 1 below 2 tops ["row"] : tensor<1x4x6x6xf32> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
  %wide_made = quant.quantize_strips %float_row above 1 below 2 tops ["row"] : tensor<1x4x6x6xf32> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %image = quant.join_strips %strips tops ["row"] : tensor<4x4x2x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  %image = quant.join_strips %strips tops ["row"] : tensor<4x4x2x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %binary = quant.binary sub %f, %f tops ["binary"] : tensor<5x4x6x6xf32>, tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %binary = quant.binary sub %f, %f tops ["binary"] : tensor<5x4x6x6xf32>, tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %greater = quant.binary gt %float_row, %f tops ["greater"] : tensor<1x4x6x6xf32>, tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %greater = quant.binary gt %float_row, %f tops ["greater"] : tensor<1x4x6x6xf32>, tensor<5x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %select = quant.select %greater, %f, %float_row tops ["select"] : tensor<5x4x6x6xf32>, tensor<5x4x6x6xf32>, tensor<1x4x6x6xf32> -> tensor<5x4x6x6xf32>
  %select = quant.select %greater, %f, %float_row tops ["select"] : tensor<5x4x6x6xf32>, tensor<5x4x6x6xf32>, tensor<1x4x6x6xf32> -> tensor<5x4x6x6xf32>
// CHECK-NEXT: %places = quant.constant <"0011", "int32", [2, 3]> tops ["places"] : tensor<2x3xi32>
  %places = quant.constant <"0011", "int32", [2, 3]> tops ["places"] : tensor<2x3xi32>
// CHECK-NEXT: %constant = quant.constant <"0011", "float32", [2, 3]> tops ["constant"] : tensor<2x3xf32>
  %constant = quant.constant <"0011", "float32", [2, 3]> tops ["constant"] : tensor<2x3xf32>
// CHECK-NEXT: %wino = quant.conv %q weight <"0011", "int8", [8, 4, 4, 4]> pad [1, 1, 1, 1] shift 7 winograd true use_winograd true tops ["wino"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x8x6x6xui8, #quant.scale<0.5>>
  %wino = quant.conv %q weight <"0011", "int8", [8, 4, 4, 4]> pad [1, 1, 1, 1] shift 7 winograd true use_winograd true tops ["wino"] : tensor<5x4x6x6xsi8, #quant.scale<0.5>> -> tensor<5x8x6x6xui8, #quant.scale<0.5>>
  func.return
}
