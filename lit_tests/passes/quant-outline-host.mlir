// RUN: bmnetu-opt -p quant-outline-host %s | filecheck %s

// The host layer stands between two functions of the NPU; the first one also clears the tensor that
// the layer may not fill. The constant goes with the layer that reads it.

!box = tensor<1x8xf32>
!rows = tensor<1x1x5x7xf32>

// CHECK: builtin.module attributes {input_names = ["x"], output_names = ["z", "y"]} {
// CHECK-NEXT: func.func @subnet_0(%[[X:.*]]: tensor<1x8xf32>) -> (tensor<1x8xf32>, tensor<1x8xf32>, tensor<1x1x5x7xf32>) attributes {input_names = ["x"], output_names = ["y", "x/s", "found"], cleared_names = ["found"]} {
// CHECK-NEXT: %[[Y:.*]] = quant.prelu %[[X]]
// CHECK-NEXT: %[[S:.*]] = quant.transpose %[[X]]
// CHECK-NEXT: %[[ZEROS:.*]] = quant.constant <"{{[0-9a-f]*}}", "float32", [1, 1, 5, 7]> tops [""]
// CHECK-NEXT: func.return %[[Y]], %[[S]], %[[ZEROS]]
// CHECK: func.func @subnet_1(%[[BOXES:.*]]: tensor<1x8xf32>, %[[SCORES:.*]]: tensor<1x8xf32>) -> tensor<1x1x5x7xf32> attributes {input_names = ["y", "x/s"], output_names = ["found"], runs_on = "host"} {
// CHECK-NEXT: %[[PRIOR:.*]] = quant.constant
// CHECK-NEXT: host.detection_output %[[BOXES]], %[[SCORES]], %[[PRIOR]] tops ["found"]
// CHECK: func.func @subnet_2
// CHECK-NEXT: quant.prelu
func.func @main(%x: !box) -> (!rows, !box) attributes {input_names = ["x"], output_names = ["z", "y"]} {
  %y = quant.prelu %x slope <"60a430c5d19fc8d8", "float32", [1]> tops ["y"] : !box -> !box
  %s = quant.transpose %x order [0, 1] tops ["x/s"] : !box -> !box
  %prior = quant.constant <"60f83fd0cda76d99", "float32", [1, 2, 8]> tops ["prior"] : tensor<1x2x8xf32>
  %found = host.detection_output %y, %s, %prior tops ["found"] {num_classes = 4 : i32, share_location = true, background_label_id = 0 : i32, nms_threshold = 5.000000e-01 : f32, top_k = -1 : i32, code_type = 1 : i32, keep_top_k = 5 : i32, confidence_threshold = 0.000000e+00 : f32, num_priors = 2 : i32, num_loc_classes = 1 : i32, variance_encoded_in_target = false, eta = 1.000000e+00 : f32, objectness_score = 0.000000e+00 : f32} : (!box, !box, tensor<1x2x8xf32>) -> !rows
  %z = quant.prelu %found slope <"60a430c5d19fc8d8", "float32", [1]> tops ["z"] : !rows -> !rows
  func.return %z, %y : !rows, !box
}
