"""Tiny models of every kind that scorers use, built here: nothing is downloaded."""

import json
import string

import torch


def clip_folder(folder, projection=16):
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

    symbols = list(string.ascii_lowercase + string.digits + " .,")
    vocab = {s: i for i, s in enumerate([*symbols, *(s + "</w>" for s in symbols), "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizerFast.from_pretrained(folder, model_max_length=20)
    tower = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "projection_dim": projection}
    ends = {"bos_token_id": vocab["<|startoftext|>"], "eos_token_id": vocab["<|endoftext|>"], "pad_token_id": vocab["<|endoftext|>"]}
    text = {**tower, **ends, "vocab_size": len(vocab), "max_position_embeddings": 20}
    CLIPModel(
        CLIPConfig(text_config=text, vision_config={**tower, "image_size": 32, "patch_size": 8}, projection_dim=projection)
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)


def siglip_folder(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipImageProcessor, SiglipModel

    words = {word: i for i, word in enumerate(["<pad>", "<unk>", "a", "red", "rose", "blue", "sea", "another", "text", "two", "tulips"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=8).save_pretrained(folder)
    tower = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {**tower, "vocab_size": len(words), "max_position_embeddings": 8, "projection_size": 32}
    SiglipModel(SiglipConfig(text_config=text, vision_config={**tower, "image_size": 32, "patch_size": 8})).save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def dinov3_folder(folder):
    from transformers import BitImageProcessor, DINOv3ViTConfig, DINOv3ViTModel

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    DINOv3ViTModel(DINOv3ViTConfig(**sizes, image_size=64, patch_size=16, num_register_tokens=4)).save_pretrained(folder)
    BitImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False).save_pretrained(folder)


OPEN_CLIP = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 2},
}


def open_clip_folder(folder):
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    folder.mkdir()
    save_file(CLIP(**OPEN_CLIP).state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": OPEN_CLIP}))


def head_folders(root):
    """What aesthetic and lpips read: a chain of linear layers, AlexNet with LPIPS's own layers."""
    from safetensors.torch import save_file
    from torchvision.models import alexnet

    for folder in ("aesthetic-v2", "lpips-alex"):
        (root / folder).mkdir()
    layers = {}
    for i, (a, b) in enumerate(zip((768, 1024, 128, 64, 16), (1024, 128, 64, 16, 1), strict=True)):
        layers |= {f"layers.{2 * i}.weight": torch.randn(b, a) / a**0.5, f"layers.{2 * i}.bias": torch.randn(b)}
    save_file(layers, root / "aesthetic-v2" / "model.safetensors")
    lins = {f"lin{i}.model.1.weight": torch.rand(1, width, 1, 1) for i, width in enumerate((64, 192, 384, 256, 256))}
    save_file({**alexnet(weights=None).state_dict(), **lins}, root / "lpips-alex" / "model.safetensors")


def dinov2_folder(folder):
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    Dinov2Model(Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14)).save_pretrained(
        folder
    )
    BitImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56}).save_pretrained(folder)


def folders(root):
    """One of every kind into a folder such as models/group_scorers; the CLIP is as wide as the aesthetic predictor needs."""
    torch.manual_seed(0)
    clip_folder(root / "wide-clip", projection=768)
    siglip_folder(root / "tiny-siglip")
    dinov2_folder(root / "tiny-dinov2")
    dinov3_folder(root / "tiny-dinov3")
    open_clip_folder(root / "tiny-hps")
    head_folders(root)


def clip_vision(folder, model_type="clip_vision_model"):
    """The host's CLIP_VISION, of the host's own classes; its config.json goes into the folder."""
    import comfy.clip_vision

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_channels": 3}
    sizes |= {"image_size": 32, "patch_size": 8, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "projection_dim": 16}
    (folder / "config.json").write_text(json.dumps({**sizes, "model_type": model_type}))
    torch.manual_seed(0)
    vision = comfy.clip_vision.ClipVisionModel(str(folder / "config.json"))
    vision.load_sd({name: 0.1 * torch.randn_like(value) for name, value in vision.get_sd().items()})
    return vision


class Talker:
    """Stands in for a host CLIP that can write: `answer` makes a text of a picture's mean."""

    def __init__(self, answer):
        self.answer, self.cond_stage_model = answer, type("Writes", (), {"generate": None})

    def tokenize(self, text, image, **options):
        return float(image.mean())

    def generate(self, tokens, do_sample, max_length):
        return tokens

    def decode(self, tokens):
        return self.answer(tokens)
