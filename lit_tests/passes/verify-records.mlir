// RUN: bmnetu-opt --weights %S/Inputs/weights.npz -p 'keep-reference,convert-quant-to-record,record-allocate-ddr,verify-records{seed=3}' %s | filecheck %s
// RUN: not bmnetu-opt --weights %S/Inputs/weights.npz -p 'convert-quant-to-record,record-allocate-ddr,verify-records' %s 2>&1 | filecheck %s --check-prefix ALONE
// RUN: not bmnetu-opt --weights %S/Inputs/weights.npz -p 'keep-reference,convert-quant-to-record,verify-records' %s 2>&1 | filecheck %s --check-prefix PLACES
// RUN: not bmnetu-opt -p verify-records %s 2>&1 | filecheck %s --check-prefix EARLY

!q = tensor<5x3x8x8xsi8, #quant.scale<0.5>>
!u = tensor<5x4x8x8xui8, #quant.scale<0.25>>
!f = tensor<5x4x8x8xf32, #quant.scale<0.25>>
!q1 = tensor<2x3x7x5xsi8, #quant.scale<0.5>>
!u1 = tensor<2x4x7x5xui8, #quant.scale<0.25>>
!f1 = tensor<2x4x7x5xf32, #quant.scale<0.25>>

// The module comes out as it was: what fails is an error.

// CHECK: record.conv
// CHECK: record.softmax
// CHECK: builtin.module @reference
// CHECK: func.func @sample_1
// ALONE: bmnetu-opt: error: there is no @reference: run keep-reference first
// PLACES: bmnetu-opt: error: function @main lacks coeff_size
// EARLY: bmnetu-opt: error: pass verify-records takes a module at the record level; this one holds quant.conv
func.func @main(%x: !q) -> !f attributes {input_names = ["x"], output_names = ["softmax"]} {
  %conv = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] shift 9 tops ["conv"] : !q -> !u
  %float = quant.dequantize %conv tops ["float"] : !u -> !f
  %softmax = quant.softmax %float axis 1 tops ["softmax"] : !f -> !f
  func.return %softmax : !f
}
func.func @sample_1(%x: !q1) -> !f1 attributes {input_names = ["x"], output_names = ["softmax"], sample_of = ["batch", "height", "width"]} {
  %conv = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] shift 9 tops ["conv"] : !q1 -> !u1
  %float = quant.dequantize %conv tops ["float"] : !u1 -> !f1
  %softmax = quant.softmax %float axis 1 tops ["softmax"] : !f1 -> !f1
  func.return %softmax : !f1
}
