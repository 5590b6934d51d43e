// RUN: bmnetu-opt --verify-diagnostics --split-input-file %s | filecheck %s

// CHECK: quant.conv: 4 channels, the weights need 6
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 3, 3, 3]> group 2 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: 8 outputs in 3 groups
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 3, 3, 3]> group 3 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: result shape (1, 8, 6, 4), the window gives (1, 8, 6, 6)
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> pad [1, 1, 1, 1] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x6x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: bias must have shape [O]
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> bias <"00", "int16", [4]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: bias must be int16
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> bias <"00", "int32", [8]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: weights must be float32
func.func @main(%a: tensor<1x4x6x6xf32>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> tops ["t"] : tensor<1x4x6x6xf32> -> tensor<1x8x4x4xf32>
  func.return
}

// -----

// CHECK: quant.conv: operands and result must be all float or all 8 bit
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xf32>
  func.return
}

// -----

// CHECK: quant.conv: shift must be 0 to 31
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> shift 32 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: stride must be 2 integers of at least 1
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> stride [1, 0] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: pad must be 4 integers of at least 0
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> pad [1, 1] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: tensors hold f32, or si8 or ui8 with a scale > 0
func.func @main(%a: tensor<1x4x6x6xsi8>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> tops ["t"] : tensor<1x4x6x6xsi8> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.max_pool: the last window along axis 2 lies outside
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.max_pool %a kernel [2, 2] stride [3, 1] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x3x5xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.max_pool: pooling keeps its input's scale
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.max_pool %a kernel [2, 2] stride [2, 2] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x3x3xsi8, #quant.scale<0.25>>
  func.return
}

// -----

// CHECK: quant.average_pool: pooling keeps N and C of a rank 4 tensor
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.average_pool %a kernel [2, 2] stride [2, 2] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x3x3x3xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.eltwise: all shapes must be equal
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>, %b: tensor<1x4x6x1xsi8, #quant.scale<0.5>>) {
  %r = quant.eltwise sum(%a, %b) tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x4x6x1xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.eltwise: needs one multiplier an operand
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>, %b: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.eltwise sum(%a, %b) multipliers [1] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.eltwise: multipliers must be int8
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>, %b: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.eltwise sum(%a, %b) multipliers [1, 128] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.eltwise: needs one coefficient an operand
func.func @main(%a: tensor<1x4x6x6xf32>, %b: tensor<1x4x6x6xf32>) {
  %r = quant.eltwise sum(%a, %b) coefficients [1.0] tops ["t"] : tensor<1x4x6x6xf32>, tensor<1x4x6x6xf32> -> tensor<1x4x6x6xf32>
  func.return
}

// -----

// CHECK: quant.eltwise: an integer product takes two operands
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>, %b: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.eltwise product(%a, %b, %b) tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.eltwise: an integer max takes operands of the result's type
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>, %b: tensor<1x4x6x6xui8, #quant.scale<0.5>>) {
  %r = quant.eltwise max(%a, %b) tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x4x6x6xui8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.requantize: keeps the shape
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.requantize %a multiplier 3 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x5xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.requantize: multiplier must be 0 to 127
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.requantize %a multiplier 128 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xui8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.prelu: slope must be [1] or [4]
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.prelu %a slope <"00", "int8", [6]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.prelu: multiplier must be 0 to 127
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.prelu %a slope <"00", "int8", [4]> multiplier 128 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.prelu: keeps the type
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.prelu %a slope <"00", "int8", [4]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<1.0>>
  func.return
}

// -----

// CHECK: quant.prelu: keeps the type
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.prelu %a slope <"00", "int8", [4]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xui8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.lookup: the table must have 256 entries
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.lookup %a table <"00", "uint8", [128]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.lookup: the table must hold bytes (uint8)
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.lookup %a table <"00", "int8", [256]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.quantize: operands and result must be float, 8 bit
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.quantize %a tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.dequantize: operands and result must be 8 bit, float
func.func @main(%a: tensor<1x4x6x6xf32>) {
  %r = quant.dequantize %a tops ["t"] : tensor<1x4x6x6xf32> -> tensor<1x4x6x6xf32>
  func.return
}

// -----

// CHECK: quant.pointwise: operands and result must be float, float
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.pointwise "tanh" %a tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.softmax: there is no axis 4 in a tensor of rank 4
func.func @main(%a: tensor<1x4x6x6xf32>) {
  %r = quant.softmax %a axis 4 tops ["t"] : tensor<1x4x6x6xf32> -> tensor<1x4x6x6xf32>
  func.return
}

// -----

// CHECK: quant.pointwise: tops names the one result
func.func @main(%a: tensor<1x4x6x6xf32>) {
  %r = quant.pointwise "sigmoid" %a tops [] : tensor<1x4x6x6xf32> -> tensor<1x4x6x6xf32>
  func.return
}

// -----

// CHECK: quant.reshape: keeps the count
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.reshape %a tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x143xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.reshape: moves data, so element type and scale of result and operand must be equal
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.reshape %a tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x144xsi8, #quant.scale<0.25>>
  func.return
}

// -----

// CHECK: quant.transpose: (0, 1, 1, 3) is no permutation
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.transpose %a order [0, 1, 1, 3] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.transpose: wrong result shape
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.transpose %a order [1, 0, 2, 3] tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x4x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.concat: parts add up to 8, the result has 7
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.concat(%a, %a) axis 1 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x7x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.concat: shape (1, 4, 6, 6) does not fit (1, 8, 6, 5) beside axis 1
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.concat(%a, %a) axis 1 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x6x5xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.slice: the slice leaves its operand
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.slice %a axis 1 begin 3 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x2x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.slice: shape (1, 2, 6, 5) does not fit (1, 4, 6, 6) beside axis 1
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.slice %a axis 1 begin 0 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x2x6x5xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.broadcast: (1, 4, 6, 6) does not broadcast to (1, 8, 6, 6)
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.broadcast %a tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.split_strips: the strips are to cover the image
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.split_strips %a tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<4x4x1x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.split_strips: one image has four strips
func.func @main(%a: tensor<2x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.split_strips %a tops ["t"] : tensor<2x4x6x6xsi8, #quant.scale<0.5>> -> tensor<4x4x2x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.split_strips: halos are 0 to a strip's rows
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.split_strips %a above 3 tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.join_strips: keeps C and W of an 8-bit tensor
func.func @main(%a: tensor<4x4x2x6xsi8, #quant.scale<0.5>>) {
  %r = quant.join_strips %a tops ["t"] : tensor<4x4x2x6xsi8, #quant.scale<0.5>> -> tensor<1x5x6x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.quantize_strips: operands and result must be float, 8 bit
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.quantize_strips %a tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<4x4x2x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.quantize_strips: halos are 0 to a strip's rows
func.func @main(%a: tensor<1x4x6x6xf32>) {
  %r = quant.quantize_strips %a above 3 tops ["t"] : tensor<1x4x6x6xf32> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.quantize_strips: keeps C and W
func.func @main(%a: tensor<1x4x6x6xf32>) {
  %r = quant.quantize_strips %a tops ["t"] : tensor<1x4x6x6xf32> -> tensor<4x4x2x5xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.exchange_halo: halos are 0 to a strip's rows
func.func @main(%a: tensor<4x4x2x6xsi8, #quant.scale<0.5>>) {
  %r = quant.exchange_halo %a height 6 above 3 below 0 fill 0 tops ["t"] : tensor<4x4x2x6xsi8, #quant.scale<0.5>> -> tensor<4x4x5x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.exchange_halo: fill must be of the tensor's type
func.func @main(%a: tensor<4x4x2x6xsi8, #quant.scale<0.5>>) {
  %r = quant.exchange_halo %a height 6 above 1 below 0 fill 128 tops ["t"] : tensor<4x4x2x6xsi8, #quant.scale<0.5>> -> tensor<4x4x3x6xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: winograd needs stride, dilation and group 1
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 4, 4]> stride [2, 2] winograd true tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x2x2xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv: winograd weights must have shape [O, C, 4, 4]
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>) {
  %r = quant.conv %a weight <"00", "int8", [8, 4, 3, 3]> winograd true tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv_add: needs floats, and no winograd
func.func @main(%a: tensor<1x4x6x6xsi8, #quant.scale<0.5>>, %b: tensor<1x8x4x4xsi8, #quant.scale<0.5>>) {
  %r = quant.conv_add %a, %b weight <"00", "int8", [8, 4, 3, 3]> tops ["t"] : tensor<1x4x6x6xsi8, #quant.scale<0.5>>, tensor<1x8x4x4xsi8, #quant.scale<0.5>> -> tensor<1x8x4x4xsi8, #quant.scale<0.5>>
  func.return
}

// -----

// CHECK: quant.conv_add: the addend must have the result's shape
func.func @main(%a: tensor<1x4x6x6xf32>, %b: tensor<1x8x1x1xf32>) {
  %r = quant.conv_add %a, %b weight <"00", "float32", [8, 4, 3, 3]> tops ["t"] : tensor<1x4x6x6xf32>, tensor<1x8x1x1xf32> -> tensor<1x8x4x4xf32>
  func.return
}
