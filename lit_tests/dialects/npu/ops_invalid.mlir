// RUN: bmnetu-opt --verify-diagnostics --parsing-diagnostics --split-input-file %s | filecheck %s

// CHECK: no instruction is called 'jump'
func.func @main() {
  npu.gdma <"jump cmd_id=1">
  func.return
}

// -----

// CHECK: a gdma command has no field colour
func.func @main() {
  npu.gdma <"move colour=1">
  func.return
}

// -----

// CHECK: conv: res0_n=65536 does not fit 16 bits
func.func @main() {
  npu.tiu <"conv res0_n=65536">
  func.return
}

// -----

// CHECK: conv: res0_n=many is not a number
func.func @main() {
  npu.tiu <"conv res0_n=many">
  func.return
}

// -----

// CHECK: npu.tiu: move is a command of the other engine
func.func @main() {
  npu.tiu <"move dst_nsize=1 dst_csize=1 dst_hsize=1 dst_wsize=1">
  func.return
}

// -----

// CHECK: a tensor holds float32, int8, uint8 and has extents above 0
func.func @main() {
  npu.gdma <"move cmd_id=1"> observe [#npu.observe<"x", 3, [1], "complex64">]
  func.return
}

// -----

// CHECK: move: src and dst sizes must hold the same number of elements
func.func @main() {
  npu.gdma <"move src_wsize=7 dst_nsize=1 dst_csize=1 dst_hsize=1 dst_wsize=1">
  func.return
}
