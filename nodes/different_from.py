from comfy_api.latest import io

from ..sampling.inputs import check_latent
from ..scorers.combine import terms
from ..scorers.different_from import DifferentFrom
from .types import CATEGORY, GroupPairwise


class DifferentFromNode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="DifferentFrom",
            display_name="Different From",
            category=CATEGORY,
            description="A group that differs from pictures that you have already: they count as members of every group, without being candidates. For the next four connect the first four.",
            search_aliases=["group inference", "unlike", "avoid", "next four", "exclude", "novelty", "not like these"],
            inputs=[
                GroupPairwise.Input(
                    "pairwise", tooltip="A Difference Scorer or a combination of them: what the difference is measured by."
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The pictures to be different from, of any size, for all scorers that look at pictures."
                ),
                io.Latent.Input(
                    "latent", optional=True, tooltip="Their latents, for the scorer latent, which looks at no pictures. Of the same model."
                ),
            ],
            outputs=[GroupPairwise.Output(display_name="pairwise")],
        )

    @classmethod
    def execute(cls, pairwise, image=None, latent=None) -> io.NodeOutput:
        if not terms(pairwise, socket="pairwise"):
            raise ValueError("The input pairwise got nothing to tell pictures apart by: connect a Difference Scorer.")
        samples = None
        if latent is not None:
            check_latent(latent)
            samples = latent["samples"]
            # Of a video with sound the pictures count.
            samples = samples.unbind()[0] if samples.is_nested else samples
        return io.NodeOutput(DifferentFrom(pairwise, image, samples))
