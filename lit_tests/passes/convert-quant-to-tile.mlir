// RUN: bmnetu-opt -p convert-quant-to-tile --weights %S/Inputs/weights.npz %s --split-input-file | filecheck %s
// RUN: bmnetu-opt -p 'convert-quant-to-tile{share=2}' --weights %S/Inputs/weights.npz %s --split-input-file | filecheck %s --check-prefix OVERLAP

!q = tensor<5x3x8x8xsi8, #quant.scale<0.5>>
!u = tensor<5x4x8x8xui8, #quant.scale<0.25>>
!flat = tensor<5x256xui8, #quant.scale<0.25>>

// 8-bit tensors lie in DDR four images a word; weights and bias come in one transfer; input, compute,
// store, and the mark that the tensor is final.

// CHECK-DAG: %[[X:.*]] = tile.input "x" shape [5, 3, 8, 8] scale <0.5> bytes 1536 : !ddr_5x3x8x8xsi8
// CHECK-DAG: %[[CONV:.*]] = tile.output "conv" shape [5, 4, 8, 8] scale <0.25> bytes 2048
// CHECK-DAG: %[[FLAT:.*]] = tile.output "flat" shape [5, 256] scale <0.25> bytes 2048
// CHECK: %[[C:.*]] = tile.constant <"{{.*}}", "uint32", [1, 4, 1, 10]>
// CHECK-NEXT: %[[B:.*]] = tile.alloc bytes 128
// CHECK: tile.load
// CHECK-DAG: %[[W:.*]] = tile.view %[[B]] : {{.*}} -> !lmem_4x3x3x3xsi8
// CHECK-DAG: %[[BIAS:.*]] = tile.view %[[B]] offset 36 {{.*}} -> !lmem_1x4x1x1xsi16
// CHECK: %[[OUT:.*]] = tile.alloc bytes 512 : !lmem_5x4x8x8xui8
// CHECK: %[[IN:.*]] = tile.alloc bytes 512 : !lmem_5x3x8x8xsi8
// CHECK: tile.load
// CHECK: tile.conv %[[OUT]], %[[IN]], %[[W]] bias %[[BIAS]] : {{.*}} pad [1, 1, 1, 1] shift 9
// CHECK: tile.store
// CHECK-NEXT: tile.observe %[[CONV]] "conv" shape [5, 4, 8, 8]

// A reshape that keeps the batch is another view of the same buffer.

// CHECK-NEXT: %[[VIEW:.*]] = tile.view %[[CONV]] {{.*}} -> !ddr_5x256x1x1xui8
// CHECK-NEXT: tile.observe %[[VIEW]] "view" shape [5, 256]

// Element by element: the words of the tensor run over all lanes, whatever its shape; an operand that comes
// twice is loaded once.

// CHECK: tile.load {{.*}}1x64x1x8xf32
// CHECK-NOT: tile.load
// CHECK: tile.arith max %{{.*}}, %[[A:.*]], %[[A]] :
// CHECK: tile.store
// CHECK-NEXT: tile.observe %[[FLAT]] "flat"
func.func @main(%x: !q) -> (!u, !flat) attributes {input_names = ["x"], output_names = ["conv", "flat"]} {
  %conv = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] shift 9 tops ["conv"] : !q -> !u
  %view = quant.reshape %conv tops ["view"] : !u -> !flat
  %max = quant.eltwise max(%view, %view) tops ["flat"] : !flat, !flat -> !flat
  func.return %conv, %max : !u, !flat
}

// -----

// A map that does not fit a lane is cut, with the rows that two tiles share; with overlap a tile takes half of
// local memory, and there are more of them.

// CHECK: tile.max_pool %{{.*}}, %{{.*}} kernel [3, 3] pad [1, 0, 1, 1] : !lmem_1x1x150x300xf32, !lmem_1x1x151x300xf32
// CHECK: tile.max_pool %{{.*}}, %{{.*}} kernel [3, 3] pad [0, 1, 1, 1] : !lmem_1x1x150x300xf32, !lmem_1x1x151x300xf32
// CHECK-NOT: tile.max_pool
// OVERLAP: tile.max_pool %{{.*}}, %{{.*}} kernel [3, 3] pad [1, 0, 1, 1] : !lmem_1x1x100x300xf32, !lmem_1x1x101x300xf32
// OVERLAP: tile.max_pool %{{.*}}, %{{.*}} kernel [3, 3] pad [0, 0, 1, 1] : !lmem_1x1x100x300xf32, !lmem_1x1x102x300xf32
// OVERLAP: tile.max_pool %{{.*}}, %{{.*}} kernel [3, 3] pad [0, 1, 1, 1] : !lmem_1x1x100x300xf32, !lmem_1x1x101x300xf32
// OVERLAP-NOT: tile.max_pool
func.func @main(%x: tensor<1x1x300x300xf32>) -> tensor<1x1x300x300xf32> attributes {input_names = ["x"], output_names = ["pool"]} {
  %pool = quant.max_pool %x kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] tops ["pool"] : tensor<1x1x300x300xf32> -> tensor<1x1x300x300xf32>
  func.return %pool : tensor<1x1x300x300xf32>
}

// -----

// An average pooling whose last windows are clipped: one divisor for most, others along the rims.

// CHECK: tile.average_pool %{{.*}} kernel [2, 2] factor 1 shift 2 stride [2, 2] : !lmem_4x1x2x2xsi8
// CHECK: tile.average_pool %{{.*}} kernel [2, 1] factor 1 shift 1 stride [2, 2] : !lmem_4x1x2x1xsi8
// CHECK: tile.average_pool %{{.*}} kernel [1, 2] factor 1 shift 1 stride [2, 2] : !lmem_4x1x1x2xsi8
// CHECK: tile.average_pool %{{.*}} kernel [1, 1] factor 1 stride [2, 2] : !lmem_4x1x1x1xsi8
func.func @main(%x: tensor<4x1x5x5xsi8, #quant.scale<0.5>>) -> tensor<4x1x3x3xsi8, #quant.scale<0.5>> attributes {input_names = ["x"], output_names = ["pool"]} {
  %pool = quant.average_pool %x kernel [2, 2] stride [2, 2] tops ["pool"] : tensor<4x1x5x5xsi8, #quant.scale<0.5>> -> tensor<4x1x3x3xsi8, #quant.scale<0.5>>
  func.return %pool : tensor<4x1x3x3xsi8, #quant.scale<0.5>>
}

// -----

// An output that is a network input, and one tensor under two names, are copied.

// CHECK-DAG: %[[X:.*]] = tile.input "x"
// CHECK-DAG: %[[SAME:.*]] = tile.output "same"
// CHECK-DAG: %[[S:.*]] = tile.output "s"
// CHECK-DAG: %[[T:.*]] = tile.output "t"
// CHECK: tile.observe %[[S]] "s"
// CHECK: tile.copy
// CHECK: tile.copy
// CHECK-NEXT: func.return
func.func @main(%x: tensor<1x3xf32>) -> (tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>) attributes {input_names = ["x"], output_names = ["same", "s", "t"]} {
  %s = quant.pointwise "sigmoid" %x tops ["s"] : tensor<1x3xf32> -> tensor<1x3xf32>
  func.return %x, %s, %s : tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>
}
