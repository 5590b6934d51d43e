// RUN: bmnetu-opt -p ufw-fold-batch-norm --weights %S/Inputs/weights.npz %s --split-input-file | filecheck %s

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// weight 1 .. 6; BatchNorm: mean 1, 2, variance 1; Scale: factor 2, 4, bias 1, 2. Folded: every weight times
// its factor, bias -1, -6.

// CHECK: %[[X:.*]]: tensor<1x3x4x4xf32>
// CHECK-NEXT: %[[Y:.*]] = ufw.convolution ["scale"] %[[X]] weight <"ffc7e28505be60fd", "float32", [2, 3, 1, 1]> bias <"4953584d40cc1d48", "float32", [2]> :
// CHECK-NEXT: func.return %[[Y]]
func.func @main(%x: !x) -> !y attributes {input_names = ["x"], output_names = ["scale"]} {
  %conv = ufw.convolution ["conv"] %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> : (!x) -> !y
  %bn = ufw.batch_norm ["bn"] %conv mean <"60f83fd0cda76d99", "float32", [2]> variance <"032701a7423f1ea9", "float32", [2]> eps 0.0 : (!y) -> !y
  %scale = ufw.scale ["scale"] %bn weight <"81a667b048af9d83", "float32", [2]> bias <"60f83fd0cda76d99", "float32", [2]> : (!y) -> !y
  func.return %scale : !y
}

// -----

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// A bias is added to the one that is there: 1, 2 and 1, 2.

// CHECK: ufw.convolution ["bias"] %{{.*}} weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> bias <"81a667b048af9d83", "float32", [2]> :
// CHECK-NOT: ufw.bias
func.func @main(%x: !x) -> !y attributes {input_names = ["x"], output_names = ["bias"]} {
  %conv = ufw.convolution ["conv"] %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> bias <"60f83fd0cda76d99", "float32", [2]> : (!x) -> !y
  %bias = ufw.bias ["bias"] %conv bias <"60f83fd0cda76d99", "float32", [2]> : (!y) -> !y
  func.return %bias : !y
}

// -----

!x = tensor<1x12xf32>
!y = tensor<1x2xf32>

// An InnerProduct too.

// CHECK: ufw.inner_product ["scale"] %{{.*}} weight <"{{[0-9a-f]*}}", "float32", [2, 12]> bias
// CHECK-NEXT: func.return
func.func @main(%x: !x) -> !y attributes {input_names = ["x"], output_names = ["scale"]} {
  %fc = ufw.inner_product ["fc"] %x weight <"f1261f6809022b68", "float32", [2, 12]> : (!x) -> !y
  %scale = ufw.scale ["scale"] %fc weight <"81a667b048af9d83", "float32", [2]> : (!y) -> !y
  func.return %scale : !y
}

// -----

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// What another layer reads stays as it is.

// CHECK: %[[CONV:.*]] = ufw.convolution ["conv"]
// CHECK-NEXT: ufw.scale ["scale"] %[[CONV]]
// CHECK-NEXT: ufw.relu ["relu"] %[[CONV]]
func.func @main(%x: !x) -> (!y, !y) attributes {input_names = ["x"], output_names = ["scale", "relu"]} {
  %conv = ufw.convolution ["conv"] %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> : (!x) -> !y
  %scale = ufw.scale ["scale"] %conv weight <"81a667b048af9d83", "float32", [2]> : (!y) -> !y
  %relu = ufw.relu ["relu"] %conv : (!y) -> !y
  func.return %scale, %relu : !y, !y
}

// -----

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// A factor that is a tensor, and one along another axis, are no constants of a channel.

// CHECK: ufw.convolution ["conv"]
// CHECK-NEXT: ufw.scale ["both"]
// CHECK: ufw.convolution ["other"]
// CHECK-NEXT: ufw.scale ["rows"]
func.func @main(%x: !x, %f: tensor<1x2xf32>) -> (!y, tensor<1x2x2x2xf32>) attributes {input_names = ["x", "f"], output_names = ["both", "rows"]} {
  %conv = ufw.convolution ["conv"] %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> : (!x) -> !y
  %both = ufw.scale ["both"] %conv, %f axis 0 : (!y, tensor<1x2xf32>) -> !y
  %other = ufw.convolution ["other"] %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> stride [2, 2] : (!x) -> tensor<1x2x2x2xf32>
  %rows = ufw.scale ["rows"] %other weight <"81a667b048af9d83", "float32", [2]> axis 2 : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  func.return %both, %rows : !y, tensor<1x2x2x2xf32>
}

// -----

!q = tensor<1x3x4x4xsi8, #quant.scale<0.5>>

// INT8 layers keep their own shifts.

// CHECK: ufw.convolution ["conv"]
// CHECK-NEXT: ufw.scale ["scale"]
func.func @main(%x: !q) -> !q attributes {input_names = ["x"], output_names = ["scale"]} {
  %conv = ufw.convolution ["conv"] %x weight <"db48aea2a5311aa1", "int8", [3, 1, 3, 3]> pad [1, 1] group 3 right_shift 7 : (!q) -> !q
  %scale = ufw.scale ["scale"] %conv weight <"6172035090bbe576", "int8", [3]> right_shift 6 : (!q) -> !q
  func.return %scale : !q
}
