import comfy.model_management
import comfy.utils
import nodes
from comfy_api.latest import io

from ..sampling.inputs import check_conditioning, check_text
from ..sampling.prompt_text import prompt_text
from ..sampling.variants import marked, parts_of
from ..sampling.wildcards import expanded
from .types import CATEGORY

MOST = 4096


class GroupPrompts(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="GroupPrompts",
            display_name="Group Prompts",
            category=CATEGORY,
            description="Several prompts in one conditioning, of which each candidate of Group KSampler or Group Sampler gets one, in turn. Each result is what CLIP Text Encode with its line and a KSampler with its seed give. Other samplers cannot use it, unless it holds one prompt.",
            search_aliases=["group inference", "wildcards", "dynamic prompts", "prompt list", "several prompts", "prompt variations", "lora strengths"],
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder, as of CLIP Text Encode."),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    tooltip="One prompt in each line; empty lines do not count. {red|blue} stands for each of its choices: all combinations are made. Write \\{ \\} \\| for the characters themselves.",
                ),
                io.Conditioning.Input(
                    "more",
                    optional=True,
                    tooltip="Further prompts that are encoded elsewhere: another Group Prompts, or any conditioning, with its own LoRA hooks, control or guidance.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(tooltip="For candidate n, counted from 0, the prompt n modulo their number. For group samplers only, unless it holds one prompt."),
                io.String.Output(display_name="lines", is_output_list=True, tooltip="The prompts in their order."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, clip, text, more=None) -> io.NodeOutput:
        if not (hasattr(clip, "tokenize") and hasattr(clip, "encode_from_tokens_scheduled")):
            raise ValueError(
                f"clip is a {type(clip).__name__}, not a CLIP: connect a loader that has a text encoder, such as Load CLIP or a checkpoint that contains one."
            )
        lines = expanded(check_text("text", text), MOST)
        parts, texts = [], []
        if more is not None:
            check_conditioning("more", more)
            parts, texts = parts_of(more, MOST - len(lines))
        bar, encoded = comfy.utils.ProgressBar(len(lines)), []
        for line in lines:
            comfy.model_management.throw_exception_if_processing_interrupted()
            encoded += nodes.CLIPTextEncode().encode(clip, line)
            bar.update(1)
        texts = [prompt_text(behind="more") if text is None else text for text in texts]
        return io.NodeOutput(marked(encoded + parts, lines + texts), lines + texts)
