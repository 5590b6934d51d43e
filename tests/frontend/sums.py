"""Layers that normalise and reduce: type, settings, and the shape they give for 2 x 4 x 9 x 11."""

SUMS: list[tuple[str, str, list[int]]] = [
    ("BN", "bn_param { bn_mode: INFERENCE }", [2, 4, 9, 11]),
    ("BN", "bn_param { frozen: true momentum: 0.95 var_eps: 1e-3 }", [2, 4, 9, 11]),
    ("CuDNNBatchNorm", "cudnn_batch_norm_param { frozen: false momentum: 0.95 }", [2, 4, 9, 11]),
    ("BatchNorm", "batch_norm_param { scale_bias: true }", [2, 4, 9, 11]),
    ("LRN", "lrn_param { local_size: 3 alpha: 0.5 k: 2 }", [2, 4, 9, 11]),
    ("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }", [2, 4, 9, 11]),
]
