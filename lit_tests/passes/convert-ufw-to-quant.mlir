// RUN: bmnetu-opt -p convert-ufw-to-quant --weights %S/Inputs/weights.npz %s --split-input-file | filecheck %s
// RUN: bmnetu-opt -p 'convert-ufw-to-quant{float-inputs=x float-outputs=relu}' %s --split-input-file --weights %S/Inputs/weights.npz | filecheck %s --check-prefix FLOAT

!q = tensor<1x3x8x8xsi8, #quant.scale<0.5>>
!u = tensor<1x4x8x8xui8, #quant.scale<0.25>>

// An INT8 convolution, and the ReLU that belongs to its arithmetic.

// CHECK: %[[X:.*]]: tensor<1x3x8x8xsi8, #quant.scale<0.5>>) -> tensor<1x4x8x8xui8, #quant.scale<0.25>>
// CHECK-NEXT: %[[Y:.*]] = quant.conv %[[X]] weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] shift 9 tops ["relu"] : tensor<1x3x8x8xsi8, #quant.scale<0.5>> -> tensor<1x4x8x8xui8, #quant.scale<0.25>>
// CHECK-NEXT: func.return %[[Y]]

// With float borders the converters stand in the IR.

// FLOAT: %[[X:.*]]: tensor<1x3x8x8xf32, #quant.scale<0.5>>) -> tensor<1x4x8x8xf32, #quant.scale<0.25, unsigned>>
// FLOAT-NEXT: %[[Q:.*]] = quant.quantize %[[X]] tops ["x/quantize"]
// FLOAT-NEXT: %[[Y:.*]] = quant.conv %[[Q]]
// FLOAT-NEXT: %[[F:.*]] = quant.dequantize %[[Y]] tops ["relu/dequantize"]
// FLOAT-NEXT: func.return %[[F]]
func.func @main(%x: !q) -> !u attributes {input_names = ["x"], output_names = ["relu"]} {
  %conv = ufw.convolution ["conv"] %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] right_shift 9 : (!q) -> !u
  %relu = ufw.relu ["relu"] %conv : (!u) -> !u
  func.return %relu : !u
}

// -----

!q = tensor<1x3x8x8xsi8, #quant.scale<0.5>>
!f = tensor<1x3x8x8xf32, #quant.scale<0.25, unsigned>>
!p = tensor<1x3x4x4xf32, #quant.scale<0.25, unsigned>>
!y = tensor<1x4x2x2xsi8, #quant.scale<0.5>>

// What a float island makes gets the sign that its scale says where it becomes integers.

// CHECK: quant.prelu %{{.*}} tops ["relu"] : tensor<1x3x8x8xf32, #quant.scale<0.5>> -> tensor<1x3x8x8xf32, #quant.scale<0.25, unsigned>>
// CHECK-NEXT: %[[P:.*]] = quant.max_pool
// CHECK-NEXT: %[[Q:.*]] = quant.quantize %[[P]] tops ["conv/quantize"] : tensor<1x3x4x4xf32, #quant.scale<0.25, unsigned>> -> tensor<1x3x4x4xui8, #quant.scale<0.25>>
// CHECK-NEXT: quant.conv %[[Q]]
func.func @main(%x: !q) -> !y attributes {input_names = ["q"], output_names = ["conv"]} {
  %relu = ufw.relu ["relu"] %x : (!q) -> !f
  %pool = ufw.pooling max ["pool"] %relu kernel [2, 2] stride [2, 2] : (!f) -> !p
  %conv = ufw.convolution ["conv"] %pool weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> right_shift 9 : (!p) -> !y
  func.return %conv : !y
}

// -----

!a = tensor<1x3x8x8xsi8, #quant.scale<0.5>>
!b = tensor<1x3x8x8xui8, #quant.scale<0.25>>
!c = tensor<1x3x8x8xsi8, #quant.scale<1.0>>

// Sums: every operand is multiplied by its scale over the result's, both times 2^7; 64 = 0.5 * 2^7.

// CHECK: quant.eltwise sum(%[[A:.*]], %[[B:.*]]) multipliers [64, 32] shift 7 tops ["sum"]
// Products: a power of two stands for the scales; 0.5 * 0.25 * 2^3 = 1.
// CHECK-NEXT: quant.eltwise product(%[[A]], %[[B]]) shift 3 tops ["product"]
// Maxima: the operands are brought to the result's scale and sign first.
// CHECK-NEXT: %[[A1:.*]] = quant.requantize %[[A]] multiplier 1 shift 1 tops ["max/operand0"]
// CHECK-NEXT: %[[B1:.*]] = quant.requantize %[[B]] multiplier 1 shift 2 tops ["max/operand1"]
// CHECK-NEXT: quant.eltwise max(%[[A1]], %[[B1]]) tops ["max"]
// CHECK-NEXT: %[[B2:.*]] = quant.requantize %[[B]] multiplier 1 shift 1 tops ["concat/operand1"]
// CHECK-NEXT: quant.concat(%[[A]], %[[B2]]) axis 1 tops ["concat"]
func.func @main(%a: !a, %b: !b) -> (!c, !c, !c, tensor<1x6x8x8xsi8, #quant.scale<0.5>>) attributes {input_names = ["a", "b"], output_names = ["sum", "product", "max", "concat"]} {
  %sum = ufw.eltwise sum ["sum"] %a, %b : (!a, !b) -> !c
  %product = ufw.eltwise product ["product"] %a, %b : (!a, !b) -> !c
  %max = ufw.eltwise max ["max"] %a, %b : (!a, !b) -> !c
  %concat = ufw.concat ["concat"] %a, %b axis 1 : (!a, !b) -> tensor<1x6x8x8xsi8, #quant.scale<0.5>>
  func.return %sum, %product, %max, %concat : !c, !c, !c, tensor<1x6x8x8xsi8, #quant.scale<0.5>>
}

// -----

!q = tensor<1x3x8x8xsi8, #quant.scale<0.5>>
!u = tensor<1x3x8x8xui8, #quant.scale<0.25>>

// A ReLU after a layer that is read elsewhere; one with a slope; PReLU; a function of one byte.

// CHECK: quant.requantize %[[X:.*]] multiplier 2 tops ["relu"]
// CHECK-NEXT: quant.prelu %[[X]] slope <"{{[0-9a-f]*}}", "int8", [1]> shift 2 tops ["leaky"]
// CHECK-NEXT: quant.prelu %[[X]] slope <"72d3c635a29c0fa5", "int8", [3]> shift 7 tops ["prelu"]
// CHECK-NEXT: quant.lookup %[[X]] table <"{{[0-9a-f]*}}", "uint8", [256]> tops ["tanh"]
func.func @main(%x: !q) -> (!u, !q, !q, !q) attributes {input_names = ["x"], output_names = ["relu", "leaky", "prelu", "tanh"]} {
  %relu = ufw.relu ["relu"] %x : (!q) -> !u
  %leaky = ufw.relu ["leaky"] %x negative_slope 0.25 : (!q) -> !q
  %prelu = ufw.prelu ["prelu"] %x slope <"72d3c635a29c0fa5", "int8", [3]> right_shift 7 : (!q) -> !q
  %tanh = ufw.pointwise "tanh" ["tanh"] %x : (!q) -> !q
  func.return %relu, %leaky, %prelu, %tanh : !u, !q, !q, !q
}

// -----

!q = tensor<2x3x8x8xsi8, #quant.scale<0.5>>

// A float island: in by dequantize, once for both readers, out by quantize.

// CHECK: %[[F:.*]] = quant.dequantize %[[X:.*]] tops ["softmax/dequantize"]
// CHECK-NEXT: %[[S:.*]] = quant.softmax %[[F]] axis 1 tops ["softmax"]
// CHECK-NEXT: %[[T:.*]] = quant.pointwise "tanh" %[[F]] tops ["tanh"]
// CHECK-NEXT: %[[R:.*]] = quant.eltwise sum(%[[S]], %[[T]]) tops ["sum"]
// CHECK-NEXT: %[[Q:.*]] = quant.quantize %[[R]] tops ["sum/requantize"]
// CHECK-NEXT: func.return %[[Q]]
func.func @main(%x: !q) -> !q attributes {input_names = ["x"], output_names = ["sum"]} {
  %softmax = ufw.softmax ["softmax"] %x axis 1 : (!q) -> tensor<2x3x8x8xf32>
  %tanh = ufw.pointwise "tanh" ["tanh"] %x : (!q) -> tensor<2x3x8x8xf32>
  %sum = ufw.eltwise sum ["sum"] %softmax, %tanh : (tensor<2x3x8x8xf32>, tensor<2x3x8x8xf32>) -> !q
  func.return %sum : !q
}

// -----

!x = tensor<2x3x2x2xf32>

// FP32: coefficients a channel are a depthwise convolution, an InnerProduct one over the whole map; shapes
// that fit are not touched, and a layer that does nothing leaves only its name.

// CHECK: %[[BN:.*]] = quant.conv %[[X:.*]] weight <"{{[0-9a-f]*}}", "float32", [3, 1, 1, 1]> bias <"{{[0-9a-f]*}}", "float32", [3]> group 3 tops ["drop"]
// CHECK-NEXT: %[[FC:.*]] = quant.conv %[[BN]] weight <"{{[0-9a-f]*}}", "float32", [2, 3, 2, 2]> tops ["fc/product"] {{.*}} -> tensor<2x2x1x1xf32>
// CHECK-NEXT: %[[FLAT:.*]] = quant.reshape %[[FC]] tops ["fc"] {{.*}} -> tensor<2x2xf32>
// CHECK-NEXT: %[[A:.*]] = quant.slice %[[FLAT]] axis 1 begin 0 tops ["a"]
// CHECK-NEXT: %[[B:.*]] = quant.slice %[[FLAT]] axis 1 begin 1 tops ["b"]
// CHECK-NEXT: func.return %[[A]], %[[B]]
func.func @main(%x: !x) -> (tensor<2x1xf32>, tensor<2x1xf32>) attributes {input_names = ["x"], output_names = ["a", "b"]} {
  %bn = ufw.batch_norm ["bn"] %x mean <"f9ef72ca17d52acc", "float32", [3]> variance <"f9ef72ca17d52acc", "float32", [3]> eps 1.0 : (!x) -> !x
  %drop = ufw.dropout ["drop"] %bn : (!x) -> !x
  %fc = ufw.inner_product ["fc"] %drop weight <"f1261f6809022b68", "float32", [2, 12]> : (!x) -> tensor<2x2xf32>
  %a, %b = ufw.slice ["a", "b"] %fc : (tensor<2x2xf32>) -> (tensor<2x1xf32>, tensor<2x1xf32>)
  func.return %a, %b : tensor<2x1xf32>, tensor<2x1xf32>
}
