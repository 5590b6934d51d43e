// RUN: bmnetu-opt --weights %S/Inputs/weights.npz -p 'keep-reference,convert-quant-to-tile,tile-allocate-ddr,tile-allocate-local,convert-tile-to-npu,npu-assign-waits,verify-layers{seed=3}' %s | filecheck %s
// RUN: bmnetu-opt --weights %S/Inputs/weights.npz -p 'keep-reference,convert-quant-to-tile{share=2},tile-allocate-ddr,tile-allocate-local{overlap=true},convert-tile-to-npu,npu-hoist-loads,npu-assign-waits,verify-layers' %s | filecheck %s
// RUN: not bmnetu-opt --weights %S/Inputs/weights.npz -p 'convert-quant-to-tile,tile-allocate-ddr,tile-allocate-local,convert-tile-to-npu,npu-assign-waits,verify-layers' %s 2>&1 | filecheck %s --check-prefix ALONE
// RUN: not bmnetu-opt -p verify-layers %s 2>&1 | filecheck %s --check-prefix EARLY

!q = tensor<5x3x8x8xsi8, #quant.scale<0.5>>
!u = tensor<5x4x8x8xui8, #quant.scale<0.25>>
!f = tensor<5x4x8x8xf32, #quant.scale<0.25>>

// The module comes out as it was: what fails is an error.

// CHECK: npu.gdma
// CHECK: npu.tiu <"conv
// CHECK: observe [#npu.observe<"conv", {{.*}}, [5, 4, 8, 8], "uint8", packed>]
// CHECK: observe [#npu.observe<"softmax", {{.*}}, [5, 4, 8, 8], "float32">]
// CHECK: builtin.module @reference
// ALONE: bmnetu-opt: error: there is no @reference: run keep-reference first
// EARLY: bmnetu-opt: error: pass verify-layers takes a module at the npu level; this one holds quant.conv
func.func @main(%x: !q) -> !f attributes {input_names = ["x"], output_names = ["softmax"]} {
  %conv = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] shift 9 tops ["conv"] : !q -> !u
  %float = quant.dequantize %conv tops ["conv/dequantize"] : !u -> !f
  %softmax = quant.softmax %float axis 1 tops ["softmax"] : !f -> !f
  func.return %softmax : !f
}
