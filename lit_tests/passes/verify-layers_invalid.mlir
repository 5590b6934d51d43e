// RUN: not bmnetu-opt -p 'verify-layers' %s 2>&1 | filecheck %s

!t = memref<1x1x1x32xf32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 32, 1]>, #tile.place<ddr>>

// Commands that double x; a reference that does nothing: the verdict names layer, tensor, index, both values.

// CHECK: bmnetu-opt: error: net.prototxt:7: layer "double": tensor "y" at [0, 0]: the NPU has {{[-0-9.]*}}, the CPU {{[-0-9.]*}}; 32 of 32 elements differ
func.func @main() attributes {input_names = ["x"], output_names = ["y"], coeff_size = 4096 : i64, context_address = 4379906048 : i64, context_size = 8192 : i64} {
  %x = tile.input "x" shape [1, 32] bytes 128 address 4379906048 : !t
  %y = tile.output "y" shape [1, 32] bytes 128 address 4379910144 : !t
  npu.gdma <"move cmd_id=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x5101000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  npu.tiu <"scalar cmd_id_tpu=1 cmd_id_gdma=1 opt_opd1_const=1 res0_w=32 res0_addr=0x8001000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 cmd_id=2 chw_copy=1 eng0_sync_id=1 src_wsize=32 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5102000 dst_start_addr_h8=1"> observe [#npu.observe<"y", 4379910144, [1, 32], "float32">]
  func.return
}

builtin.module @reference {
  func.func @main(%x: tensor<1x32xf32>) -> tensor<1x32xf32> attributes {input_names = ["x"], output_names = ["y"]} {
    %y = quant.reshape %x tops ["y"] : tensor<1x32xf32> -> tensor<1x32xf32> loc("double"("net.prototxt":7:0))
    func.return %y : tensor<1x32xf32>
  }
}
