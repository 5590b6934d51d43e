// RUN: bmnetu-opt --verify-diagnostics --split-input-file %s | filecheck %s

// CHECK: record.conv: coefficients must be ['bias', 'weight']
func.func @main(%x: tensor<1x4x6x6xf32>) {
  %y = record.conv %x tops ["y"] {channels = 262152 : i64, kernel = 65537 : i64, has_bias = 1 : i64} coefficients {weight = #constant.data<"00", "float32", [8, 1, 4]>} : (tensor<1x4x6x6xf32>) -> tensor<1x8x6x6xf32>
  func.return
}

// -----

// CHECK: record.conv: an input of 4 channels is needed, it is (1, 5, 6, 6)
func.func @main(%x: tensor<1x5x6x6xf32>) {
  %y = record.conv %x tops ["y"] {channels = 262152 : i64, kernel = 65537 : i64} coefficients {weight = #constant.data<"00", "float32", [8, 1, 4]>} : (tensor<1x5x6x6xf32>) -> tensor<1x8x6x6xf32>
  func.return
}

// -----

// CHECK: record.reshape: the results are [(4, 120)], the operands give [(4, 144)]
func.func @main(%x: tensor<4x4x6x6xf32>) {
  %y = record.reshape %x tops ["y"] {rank = 2 : i64, shape = array<i32: 0, -1, 0, 0, 0, 0, 0, 0>} : (tensor<4x4x6x6xf32>) -> tensor<4x120xf32>
  func.return
}

// -----

// CHECK: record.binary: 1 operands, it takes 2
func.func @main(%x: tensor<4x4x6x6xf32>) {
  %y = record.binary %x tops ["y"] {a_rank = 4 : i64, b_rank = 4 : i64} : (tensor<4x4x6x6xf32>) -> tensor<4x4x6x6xf32>
  func.return
}

// -----

// CHECK: rank is 300, which has more than 8 bits
func.func @main(%x: tensor<4x4x6x6xf32>) {
  %y = record.reshape %x tops ["y"] {rank = 300 : i64} : (tensor<4x4x6x6xf32>) -> tensor<4x4x6x6xf32>
  func.return
}

// -----

// CHECK: axis does not have the type that the struct has
func.func @main(%x: tensor<4x4x6x6xf32>) {
  %y = record.reverse %x tops ["y"] {axis = 1 : i64} : (tensor<4x4x6x6xf32>) -> tensor<4x4x6x6xf32>
  func.return
}

// -----

// CHECK: look at colour
func.func @main(%x: tensor<4x4x6x6xf32>) {
  %y = record.reverse %x tops ["y"] {colour = 1 : i64} : (tensor<4x4x6x6xf32>) -> tensor<4x4x6x6xf32>
  func.return
}
