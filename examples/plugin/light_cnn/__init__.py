"""A plug-in for bmnetu: the layers of LightCNN, a network that recognises faces."""

from xdsl.ir import Dialect

from bmnetu.frontend.layers.importers import Importer
from bmnetu.plugins import Plugin
from light_cnn.functions import SOFT_SHRINK
from light_cnn.layers import import_max_feature_map, lower_max_feature_map, onnx_operators
from light_cnn.light_fuse_max_feature_map import LightFuseMaxFeatureMapPass
from light_cnn.ops import MaxFeatureMapOp

PLUGIN = Plugin(
    dialects=(Dialect("light", [MaxFeatureMapOp]),),
    functions=(SOFT_SHRINK,),
    importers={"MaxFeatureMap": Importer(import_max_feature_map)},
    parameters={"max_feature_map_param": {"pieces": 2}},
    lowerings={MaxFeatureMapOp: lower_max_feature_map},
    operators=onnx_operators,
    passes=(LightFuseMaxFeatureMapPass,),
)
