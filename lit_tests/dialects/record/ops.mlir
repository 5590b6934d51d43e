// RUN: bmnetu-opt %s | bmnetu-opt --print-op-generic | bmnetu-opt | filecheck %s

// Every op of the dialect comes back as it was written, after a turn through the generic form.

// CHECK: record.conv %{{.*}} tops ["y0"] {channels = 262152 : i64, kernel = 196611 : i64, pad = array<i64: 1, 1, 1, 1>, has_bias = 1 : i64, relu = 1 : i64} coefficients {weight = #constant.data<"78a0782aa28732ed", "float32", [8, 9, 4]>, bias = #constant.data<"7ec6ea6e9f2c4c2f", "float32", [8]>} at [-1] coefficients_at [4379901952, 4379902016] : (tensor<4x4x6x5xf32>) -> tensor<4x8x6x5xf32>
func.func @record_conv(%0: tensor<4x4x6x5xf32>) -> tensor<4x8x6x5xf32> {
  %1 = record.conv %0 tops ["y0"] {channels = 262152 : i64, kernel = 196611 : i64, pad = array<i64: 1, 1, 1, 1>, has_bias = 1 : i64, relu = 1 : i64} coefficients {weight = #constant.data<"78a0782aa28732ed", "float32", [8, 9, 4]>, bias = #constant.data<"7ec6ea6e9f2c4c2f", "float32", [8]>} at [-1] coefficients_at [4379901952, 4379902016] : (tensor<4x4x6x5xf32>) -> tensor<4x8x6x5xf32>
  func.return %1 : tensor<4x8x6x5xf32>
}
// CHECK: record.pool %{{.*}} tops ["y0"] {channels = 4 : i64, kernel = 131074 : i64, stride = array<i64: 2, 2>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x3x2xf32>
func.func @record_pool(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x3x2xf32> {
  %1 = record.pool %0 tops ["y0"] {channels = 4 : i64, kernel = 131074 : i64, stride = array<i64: 2, 2>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x3x2xf32>
  func.return %1 : tensor<4x4x3x2xf32>
}
// CHECK: record.matrix %{{.*}} tops ["y0"] {inputs = 120 : i64, outputs = 10 : i64, has_bias = 1 : i64} coefficients {weight = #constant.data<"b0a37c45856b9b4f", "float32", [120, 10]>, bias = #constant.data<"61460f9e630b92ea", "float32", [10]>} at [-1] coefficients_at [4379901952, 4379902016] : (tensor<4x4x6x5xf32>) -> tensor<4x10xf32>
func.func @record_matrix(%0: tensor<4x4x6x5xf32>) -> tensor<4x10xf32> {
  %1 = record.matrix %0 tops ["y0"] {inputs = 120 : i64, outputs = 10 : i64, has_bias = 1 : i64} coefficients {weight = #constant.data<"b0a37c45856b9b4f", "float32", [120, 10]>, bias = #constant.data<"61460f9e630b92ea", "float32", [10]>} at [-1] coefficients_at [4379901952, 4379902016] : (tensor<4x4x6x5xf32>) -> tensor<4x10xf32>
  func.return %1 : tensor<4x10xf32>
}
// CHECK: record.matmul %{{.*}}, %{{.*}} tops ["y0"] {a_shape = array<i32: 4, 3, 2, 0, 0, 0, 0, 0>, a_rank = 3 : i32, b_shape = array<i32: 4, 2, 5, 0, 0, 0, 0, 0>, b_rank = 3 : i32} at [-1] : (tensor<4x3x2xf32>, tensor<4x2x5xf32>) -> tensor<4x3x5xf32>
func.func @record_matmul(%0: tensor<4x3x2xf32>, %1: tensor<4x2x5xf32>) -> tensor<4x3x5xf32> {
  %2 = record.matmul %0, %1 tops ["y0"] {a_shape = array<i32: 4, 3, 2, 0, 0, 0, 0, 0>, a_rank = 3 : i32, b_shape = array<i32: 4, 2, 5, 0, 0, 0, 0, 0>, b_rank = 3 : i32} at [-1] : (tensor<4x3x2xf32>, tensor<4x2x5xf32>) -> tensor<4x3x5xf32>
  func.return %2 : tensor<4x3x5xf32>
}
// CHECK: record.select %{{.*}}, %{{.*}}, %{{.*}} tops ["y0"] {} at [-1] : (tensor<4x4x6x5xf32>, tensor<4x4x6x5xf32>, tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_select(%0: tensor<4x4x6x5xf32>, %1: tensor<4x4x6x5xf32>, %2: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %3 = record.select %0, %1, %2 tops ["y0"] {} at [-1] : (tensor<4x4x6x5xf32>, tensor<4x4x6x5xf32>, tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %3 : tensor<4x4x6x5xf32>
}
// CHECK: record.binary %{{.*}} tops ["y0"] {a_rank = 4 : i64, b_rank = 4 : i64, b_is_coefficient = 1 : i64, op = 2 : i32, a_shape = array<i32: 4, 4, 6, 5, 0, 0, 0, 0>, b_shape = array<i32: 1, 4, 1, 1, 0, 0, 0, 0>} coefficients {b = #constant.data<"1b9d9f170c2be4f4", "float32", [1, 4, 1, 1]>} at [-1] coefficients_at [4379901952] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_binary(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %1 = record.binary %0 tops ["y0"] {a_rank = 4 : i64, b_rank = 4 : i64, b_is_coefficient = 1 : i64, op = 2 : i32, a_shape = array<i32: 4, 4, 6, 5, 0, 0, 0, 0>, b_shape = array<i32: 1, 4, 1, 1, 0, 0, 0, 0>} coefficients {b = #constant.data<"1b9d9f170c2be4f4", "float32", [1, 4, 1, 1]>} at [-1] coefficients_at [4379901952] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %1 : tensor<4x4x6x5xf32>
}
// CHECK: record.const_binary %{{.*}} tops ["y0"] {value = 5.000000e-01 : f32, op = 1 : i32, inversed = 1 : i64} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_const_binary(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %1 = record.const_binary %0 tops ["y0"] {value = 5.000000e-01 : f32, op = 1 : i32, inversed = 1 : i64} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %1 : tensor<4x4x6x5xf32>
}
// CHECK: record.convert %{{.*}} tops ["y0"] {result = 2 : i32, output_mode = 2 : i32} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xsi8>
func.func @record_convert(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xsi8> {
  %1 = record.convert %0 tops ["y0"] {result = 2 : i32, output_mode = 2 : i32} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xsi8>
  func.return %1 : tensor<4x4x6x5xsi8>
}
// CHECK: record.lookup %{{.*}} tops ["y0"] {rank = 4 : i64} coefficients {table = #constant.data<"e8807a18a4243e33", "uint32", [256]>} at [-1] coefficients_at [4379901952] : (tensor<4x4x6x5xsi8>) -> tensor<4x4x6x5xsi8>
func.func @record_lookup(%0: tensor<4x4x6x5xsi8>) -> tensor<4x4x6x5xsi8> {
  %1 = record.lookup %0 tops ["y0"] {rank = 4 : i64} coefficients {table = #constant.data<"e8807a18a4243e33", "uint32", [256]>} at [-1] coefficients_at [4379901952] : (tensor<4x4x6x5xsi8>) -> tensor<4x4x6x5xsi8>
  func.return %1 : tensor<4x4x6x5xsi8>
}
// CHECK: record.function %{{.*}} tops ["y0"] {channels = 4 : i64} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_function(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %1 = record.function %0 tops ["y0"] {channels = 4 : i64} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %1 : tensor<4x4x6x5xf32>
}
// CHECK: record.prelu %{{.*}} tops ["y0"] {channels = 4 : i64} coefficients {slope = #constant.data<"c9f19c6b6aa19242", "float32", [4]>} at [-1] coefficients_at [4379901952] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_prelu(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %1 = record.prelu %0 tops ["y0"] {channels = 4 : i64} coefficients {slope = #constant.data<"c9f19c6b6aa19242", "float32", [4]>} at [-1] coefficients_at [4379901952] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %1 : tensor<4x4x6x5xf32>
}
// CHECK: record.constant tops ["y0"] {shape = array<i32: 3, 2, 0, 0, 0, 0, 0, 0>, rank = 2 : i32} coefficients {value = #constant.data<"feecb7ae4e727274", "float32", [3, 2]>} at [-1] coefficients_at [4379901952] : () -> tensor<3x2xf32>
func.func @record_constant() -> tensor<3x2xf32> {
  %0 = record.constant tops ["y0"] {shape = array<i32: 3, 2, 0, 0, 0, 0, 0, 0>, rank = 2 : i32} coefficients {value = #constant.data<"feecb7ae4e727274", "float32", [3, 2]>} at [-1] coefficients_at [4379901952] : () -> tensor<3x2xf32>
  func.return %0 : tensor<3x2xf32>
}
// CHECK: record.reshape %{{.*}} tops ["y0"] {rank = 2 : i64, shape = array<i32: 0, -1, 0, 0, 0, 0, 0, 0>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x120xf32>
func.func @record_reshape(%0: tensor<4x4x6x5xf32>) -> tensor<4x120xf32> {
  %1 = record.reshape %0 tops ["y0"] {rank = 2 : i64, shape = array<i32: 0, -1, 0, 0, 0, 0, 0, 0>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x120xf32>
  func.return %1 : tensor<4x120xf32>
}
// CHECK: record.transpose %{{.*}} tops ["y0"] {order = array<i64: 0, 2, 3, 1, 1, 1, 1, 1>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x6x5x4xf32>
func.func @record_transpose(%0: tensor<4x4x6x5xf32>) -> tensor<4x6x5x4xf32> {
  %1 = record.transpose %0 tops ["y0"] {order = array<i64: 0, 2, 3, 1, 1, 1, 1, 1>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x6x5x4xf32>
  func.return %1 : tensor<4x6x5x4xf32>
}
// CHECK: record.concat %{{.*}}, %{{.*}} tops ["y0"] {count = 2 : i64, rank = 4 : i64, axis = 1 : i64, shape = array<i32: 4, 4, 6, 5, 0, 0, 0, 0>} extra [4, 3] at [-1] : (tensor<4x4x6x5xf32>, tensor<4x3x6x5xf32>) -> tensor<4x7x6x5xf32>
func.func @record_concat(%0: tensor<4x4x6x5xf32>, %1: tensor<4x3x6x5xf32>) -> tensor<4x7x6x5xf32> {
  %2 = record.concat %0, %1 tops ["y0"] {count = 2 : i64, rank = 4 : i64, axis = 1 : i64, shape = array<i32: 4, 4, 6, 5, 0, 0, 0, 0>} extra [4, 3] at [-1] : (tensor<4x4x6x5xf32>, tensor<4x3x6x5xf32>) -> tensor<4x7x6x5xf32>
  func.return %2 : tensor<4x7x6x5xf32>
}
// CHECK: record.slice %{{.*}} tops ["y0"] {from_start = 13 : i32, to_end = 13 : i32, begin = array<i32: 0, 1, 0, 0, 0, 0, 0, 0>, end = array<i32: 0, 3, 0, 0, 0, 0, 0, 0>, rank = 4 : i32} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x2x6x5xf32>
func.func @record_slice(%0: tensor<4x4x6x5xf32>) -> tensor<4x2x6x5xf32> {
  %1 = record.slice %0 tops ["y0"] {from_start = 13 : i32, to_end = 13 : i32, begin = array<i32: 0, 1, 0, 0, 0, 0, 0, 0>, end = array<i32: 0, 3, 0, 0, 0, 0, 0, 0>, rank = 4 : i32} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x2x6x5xf32>
  func.return %1 : tensor<4x2x6x5xf32>
}
// CHECK: record.pad %{{.*}} tops ["y0"] {channels = 4 : i64, value = -1.500000e+00 : f32, pads = array<i32: 0, 0, 0, 0, 1, 2, 0, 0>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x9x5xf32>
func.func @record_pad(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x9x5xf32> {
  %1 = record.pad %0 tops ["y0"] {channels = 4 : i64, value = -1.500000e+00 : f32, pads = array<i32: 0, 0, 0, 0, 1, 2, 0, 0>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x9x5xf32>
  func.return %1 : tensor<4x4x9x5xf32>
}
// CHECK: record.tile %{{.*}} tops ["y0"] {rank = 4 : i64, shape = array<i32: 4, 4, 6, 5, 0, 0, 0, 0>, repeats = array<i32: 1, 2, 1, 1, 1, 1, 1, 1>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x8x6x5xf32>
func.func @record_tile(%0: tensor<4x4x6x5xf32>) -> tensor<4x8x6x5xf32> {
  %1 = record.tile %0 tops ["y0"] {rank = 4 : i64, shape = array<i32: 4, 4, 6, 5, 0, 0, 0, 0>, repeats = array<i32: 1, 2, 1, 1, 1, 1, 1, 1>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x8x6x5xf32>
  func.return %1 : tensor<4x8x6x5xf32>
}
// CHECK: record.broadcast_like %{{.*}}, %{{.*}} tops ["y0"] {count = 2 : i32, axes = array<i64: 2, 3, 0, 0, 0, 0, 0, 0>, like_axes = array<i64: 2, 3, 0, 0, 0, 0, 0, 0>} at [-1] : (tensor<4x4x1x1xf32>, tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_broadcast_like(%0: tensor<4x4x1x1xf32>, %1: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %2 = record.broadcast_like %0, %1 tops ["y0"] {count = 2 : i32, axes = array<i64: 2, 3, 0, 0, 0, 0, 0, 0>, like_axes = array<i64: 2, 3, 0, 0, 0, 0, 0, 0>} at [-1] : (tensor<4x4x1x1xf32>, tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %2 : tensor<4x4x6x5xf32>
}
// CHECK: record.reverse %{{.*}} tops ["y0"] {axis = 3 : i32} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_reverse(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %1 = record.reverse %0 tops ["y0"] {axis = 3 : i32} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %1 : tensor<4x4x6x5xf32>
}
// CHECK: record.eltwise %{{.*}}, %{{.*}} tops ["y0"] {channels = 4 : i64, op = 1 : i64, count = 2 : i64, relu = 1 : i64} extra [1065353216, 1073741824] at [-1] : (tensor<4x4x6x5xf32>, tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_eltwise(%0: tensor<4x4x6x5xf32>, %1: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %2 = record.eltwise %0, %1 tops ["y0"] {channels = 4 : i64, op = 1 : i64, count = 2 : i64, relu = 1 : i64} extra [1065353216, 1073741824] at [-1] : (tensor<4x4x6x5xf32>, tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %2 : tensor<4x4x6x5xf32>
}
// CHECK: record.softmax %{{.*}} tops ["y0"] {place = 268435456 : i64} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
func.func @record_softmax(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32> {
  %1 = record.softmax %0 tops ["y0"] {place = 268435456 : i64} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xf32>
  func.return %1 : tensor<4x4x6x5xf32>
}
// CHECK: record.reduce %{{.*}} tops ["y0"] {keep = 1 : i64, count = 2 : i64, method = 1 : i32, axes = array<i64: 2, 3, 0, 0, 0, 0, 0, 0>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x1x1xf32>
func.func @record_reduce(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x1x1xf32> {
  %1 = record.reduce %0 tops ["y0"] {keep = 1 : i64, count = 2 : i64, method = 1 : i32, axes = array<i64: 2, 3, 0, 0, 0, 0, 0, 0>} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x1x1xf32>
  func.return %1 : tensor<4x4x1x1xf32>
}
// CHECK: record.shape_of %{{.*}} tops ["y0"] {} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xi32>
func.func @record_shape_of(%0: tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xi32> {
  %1 = record.shape_of %0 tops ["y0"] {} at [-1] : (tensor<4x4x6x5xf32>) -> tensor<4x4x6x5xi32>
  func.return %1 : tensor<4x4x6x5xi32>
}
// CHECK: record.shape_numbers tops ["y0"] {count = 2 : i32, numbers = array<i32: 3, 7, 0, 0, 0, 0, 0, 0>} at [-1] : () -> tensor<3x7xi32>
func.func @record_shape_numbers() -> tensor<3x7xi32> {
  %0 = record.shape_numbers tops ["y0"] {count = 2 : i32, numbers = array<i32: 3, 7, 0, 0, 0, 0, 0, 0>} at [-1] : () -> tensor<3x7xi32>
  func.return %0 : tensor<3x7xi32>
}
// CHECK: record.shape_slice %{{.*}} tops ["y0"] {place = 66562 : i64} at [-1] : (tensor<4x4x6x5xi32>) -> tensor<6x5xi32>
func.func @record_shape_slice(%0: tensor<4x4x6x5xi32>) -> tensor<6x5xi32> {
  %1 = record.shape_slice %0 tops ["y0"] {place = 66562 : i64} at [-1] : (tensor<4x4x6x5xi32>) -> tensor<6x5xi32>
  func.return %1 : tensor<6x5xi32>
}
// CHECK: record.shape_arithmetic %{{.*}}, %{{.*}} tops ["y0"] {op = 3 : i32} at [-1] : (tensor<7x9xi32>, tensor<2x3xi32>) -> tensor<3x3xi32>
func.func @record_shape_arithmetic(%0: tensor<7x9xi32>, %1: tensor<2x3xi32>) -> tensor<3x3xi32> {
  %2 = record.shape_arithmetic %0, %1 tops ["y0"] {op = 3 : i32} at [-1] : (tensor<7x9xi32>, tensor<2x3xi32>) -> tensor<3x3xi32>
  func.return %2 : tensor<3x3xi32>
}
// CHECK: record.shape_join %{{.*}}, %{{.*}}, %{{.*}} tops ["y0"] {count = 3 : i32} at [-1] : (tensor<4xi32>, tensor<3x2xi32>, tensor<5xi32>) -> tensor<4x3x2x5xi32>
func.func @record_shape_join(%0: tensor<4xi32>, %1: tensor<3x2xi32>, %2: tensor<5xi32>) -> tensor<4x3x2x5xi32> {
  %3 = record.shape_join %0, %1, %2 tops ["y0"] {count = 3 : i32} at [-1] : (tensor<4xi32>, tensor<3x2xi32>, tensor<5xi32>) -> tensor<4x3x2x5xi32>
  func.return %3 : tensor<4x3x2x5xi32>
}
// CHECK: record.reshape_to %{{.*}}, %{{.*}} tops ["y0"] {} at [-1] : (tensor<4x4x6x5xsi8>, tensor<4x8x15xi32>) -> tensor<4x8x15xsi8>
func.func @record_reshape_to(%0: tensor<4x4x6x5xsi8>, %1: tensor<4x8x15xi32>) -> tensor<4x8x15xsi8> {
  %2 = record.reshape_to %0, %1 tops ["y0"] {} at [-1] : (tensor<4x4x6x5xsi8>, tensor<4x8x15xi32>) -> tensor<4x8x15xsi8>
  func.return %2 : tensor<4x8x15xsi8>
}
// CHECK: record.resize %{{.*}}, %{{.*}} tops ["y0"] {half_pixel = 1 : i32} at [-1] : (tensor<4x4x6x5xf32>, tensor<4x4x9x10xi32>) -> tensor<4x4x9x10xf32>
func.func @record_resize(%0: tensor<4x4x6x5xf32>, %1: tensor<4x4x9x10xi32>) -> tensor<4x4x9x10xf32> {
  %2 = record.resize %0, %1 tops ["y0"] {half_pixel = 1 : i32} at [-1] : (tensor<4x4x6x5xf32>, tensor<4x4x9x10xi32>) -> tensor<4x4x9x10xf32>
  func.return %2 : tensor<4x4x9x10xf32>
}
