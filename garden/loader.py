"""Loads the demo model into the host: a MODEL, CLIP and VAE like any other."""

import json
from pathlib import Path

import comfy.clip_model
import comfy.sd
import comfy.sd1_clip
import comfy.utils
import nodes
from comfy.supported_models_base import ClipTarget
from comfy_api.latest import io
from transformers import CLIPTokenizer

WEIGHTS = Path(__file__).resolve().parent / "weights"
TEXT_ENCODER = WEIGHTS / "garden-clip"
HABITS = "habits.safetensors"


class GardenTextModel(comfy.clip_model.CLIPTextModel):
    """The host's CLIP text tower with this model's vocabulary; the host's own class assumes CLIP's 49408 tokens."""

    def __init__(self, config_dict, dtype, device, operations):
        super().__init__(config_dict, dtype, device, operations)
        self.set_input_embeddings(operations.Embedding(config_dict["vocab_size"], config_dict["hidden_size"], dtype=dtype, device=device))


class GardenTokenizer(comfy.sd1_clip.SDTokenizer):
    def __init__(self, embedding_directory=None, tokenizer_data={}):
        config = _text_config()
        super().__init__(
            str(TEXT_ENCODER), max_length=config["max_position_embeddings"], embedding_directory=embedding_directory, embedding_size=config["hidden_size"],
            embedding_key="garden", tokenizer_class=CLIPTokenizer, tokenizer_data=tokenizer_data,
        )  # fmt: skip


class GardenClipModel(comfy.sd1_clip.SDClipModel):
    def __init__(self, device="cpu", dtype=None, model_options={}):
        config = _text_config()
        tokens = {"start": config["bos_token_id"], "end": config["eos_token_id"], "pad": config["pad_token_id"]}
        super().__init__(
            device=device,
            dtype=dtype,
            textmodel_json_config=config,
            model_class=GardenTextModel,
            special_tokens=tokens,
            return_projected_pooled=False,
            model_options=model_options,
        )


class GardenTextEncoder(comfy.sd1_clip.SD1ClipModel):
    def __init__(self, device="cpu", dtype=None, model_options={}):
        super().__init__(device=device, dtype=dtype, model_options=model_options, name="garden", clip_model=GardenClipModel)


class GardenTokenizers(comfy.sd1_clip.SD1Tokenizer):
    def __init__(self, embedding_directory=None, tokenizer_data={}):
        super().__init__(embedding_directory, tokenizer_data, name="garden", tokenizer=GardenTokenizer)


def _text_config():
    return json.loads((TEXT_ENCODER / "config.json").read_text(encoding="utf-8"))["text_config"]


def load_garden(habits=False):
    """(ModelPatcher, CLIP, VAE), the model with its LoRA of habits if wanted."""
    read = lambda path: {k: v.clone() for k, v in comfy.utils.load_torch_file(str(path), safe_load=True).items()}
    model = comfy.sd.load_diffusion_model_state_dict(read(WEIGHTS / "flux.safetensors"))
    if habits:
        model, _ = comfy.sd.load_lora_for_models(model, None, read(WEIGHTS / HABITS), 1.0, 0.0)
    clip = comfy.sd.CLIP(ClipTarget(GardenTokenizers, GardenTextEncoder), state_dict=[read(TEXT_ENCODER / "model.safetensors")])
    vae = comfy.sd.VAE(sd=read(WEIGHTS / "taesd.safetensors"))
    return model, clip, vae


class GardenLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="GardenLoader",
            display_name="Load Garden (demo model)",
            category=nodes.CheckpointLoaderSimple.CATEGORY,
            description="A tiny demo model that draws 64 x 64 pictures of flowers: 'two red tulips in a meadow'. It knows tulip, daisy, rose, bellflower; red, yellow, white, pink, purple, blue; one to three; in a meadow, in the desert, by the sea, at night.",
            search_aliases=["demo", "flowers", "tiny model", "group inference"],
            inputs=[
                io.Boolean.Input(
                    "habits",
                    default=False,
                    optional=True,
                    tooltip="With habits the model does what large models do: it gives nearly the same answer to every seed. What the prompt leaves open is mostly two red tulips in a meadow. A LoRA of this pack, applied as by Load LoRA at strength 1.",
                ),
            ],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    def execute(cls, habits=False) -> io.NodeOutput:
        if not isinstance(habits, bool):  # the host lets anything through a link
            raise ValueError(f"habits is a {type(habits).__name__}, but must be true or false.")
        return io.NodeOutput(*load_garden(habits))
