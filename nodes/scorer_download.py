from comfy_api.latest import io

from ..sampling.notices import show_on_node
from ..scorers import download, weights
from .types import CATEGORY, SUMMARY


class ScorerDownload(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ScorerDownload",
            display_name="Scorer Download",
            category=CATEGORY,
            description="Downloads the weights of a scorer from the Hugging Face hub. Run it once; nothing else in this pack downloads.",
            search_aliases=["group inference", "install", "weights", "clip", "dinov2", "hugging face"],
            inputs=[
                io.Combo.Input("model", options=list(weights.KNOWN), tooltip="Goes into a folder of this name in models/group_scorers. Nothing else in this pack downloads. What is installed is only checked, not fetched again."),
            ],
            outputs=[
                io.String.Output(display_name="folder"),
                io.Combo.Output(display_name="model", tooltip="For the input model of a scorer, which then waits until its weights are there."),
            ],
            is_output_node=True,
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, model):
        folder = download.installed(model)
        return str(folder) if folder else float("nan")  # not equal to itself: while the folder is missing no earlier result counts

    @classmethod
    def execute(cls, model) -> io.NodeOutput:
        there = download.installed(model) is not None
        folder = str(download.download(model, lambda text: show_on_node([text])))
        said = [f"{model} {'was there already' if there else 'is installed'}: {folder}"]
        show_on_node(said)
        return io.NodeOutput(folder, model, ui={SUMMARY: said})
