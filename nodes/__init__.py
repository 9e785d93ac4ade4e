"""The pack's nodes: schema and wiring, no arithmetic."""

import os

import folder_paths
from comfy_api.latest import ComfyExtension

from ..board.routes import add_routes
from ..garden.loader import WEIGHTS, GardenLoader
from ..scorers.weights import FOLDER
from .combine import CombinePairwiseScorers, CombineUnaryScorers, QualityFloorNode
from .different_from import DifferentFromNode
from .group_ksampler import GroupKSampler
from .group_prompts import GroupPrompts
from .group_sampler import GroupReport, GroupSamplerNode
from .group_sheet import GroupSheet
from .group_workers import GroupWorkersNode
from .qip_selector import QIPSelector
from .save_group import SaveGroup
from .scorer_download import ScorerDownload
from .scorers import PairwiseScorer, UnaryScorer


class GroupInference(ComfyExtension):
    async def on_load(self):
        folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))
        folder_paths.add_model_folder_path(FOLDER, str(WEIGHTS))
        add_routes()

    async def get_node_list(self):
        samplers = [GroupKSampler, GroupSamplerNode, GroupReport, GroupSheet, GroupPrompts, SaveGroup, GroupWorkersNode]
        scorers = [
            UnaryScorer,
            PairwiseScorer,
            CombineUnaryScorers,
            CombinePairwiseScorers,
            QualityFloorNode,
            DifferentFromNode,
            ScorerDownload,
        ]
        return [*samplers, *scorers, QIPSelector, GardenLoader]
