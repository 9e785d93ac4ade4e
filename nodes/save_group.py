import copy

import nodes
from comfy_api.latest import io

from ..board.saved import node_of
from ..sampling.record import report_of
from .types import CATEGORY, SUMMARY


class SaveGroup(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SaveGroup",
            display_name="Save Group",
            category=CATEGORY,
            description="Saves the pictures of a group, each with its own seed in its name. A picture that is dropped into ComfyUI opens the workflow and says its seed on this node.",
            search_aliases=["group inference", "save image", "seed", "filename"],
            inputs=[
                io.Image.Input("images", tooltip="The decoded pictures of the group, in its order."),
                io.String.Input("report", force_input=True, tooltip="The report of the sampler that made them: it knows their seeds."),
                io.String.Input(
                    "filename_prefix",
                    default="group",
                    tooltip="As of Save Image; the seed comes behind it. %date:yyyy-MM-dd% and the like are filled in.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images, report, filename_prefix) -> io.NodeOutput:
        run = report_of(report)
        seeds = run["seeds"]
        if len(images) != len(seeds):
            raise ValueError(
                f"There are {len(images)} images but the report names {len(seeds)} seeds: connect the pictures of that group alone, decoded (of a video use the host's Save Video)."
            )
        saved = []
        own = run.get("prompts", {}).get("positive", {})
        for i, seed in enumerate(seeds):
            prompt = f' Its prompt: "{own[str(seed)]}"' if own else ""
            said = f"This picture: seed {seed}, {i + 1} of {len(seeds)}.{prompt} {run.get('reproduce', '')}"
            extra = labelled(cls.hidden.extra_pnginfo or {}, cls.hidden.unique_id, said)
            host = nodes.SaveImage().save_images(images[i : i + 1], f"{filename_prefix}_seed{seed}", cls.hidden.prompt, extra)
            saved += host["ui"]["images"]
        # In the place of what the node said of a picture that was dropped.
        return io.NodeOutput(ui={"images": saved, SUMMARY: [f"Saved {len(saved)} pictures with their seeds."]})


def labelled(extra, node_id, said):
    """What the host saves beside a picture, with a sentence on the node of this id of the workflow, see web/summary.js."""
    extra = copy.deepcopy(extra)
    if node := node_of(extra.get("workflow", {}), node_id):
        node.setdefault("properties", {})[SUMMARY] = said
    return extra
