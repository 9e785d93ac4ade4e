"""Every scorer's definition, computed another way in float64 on tiny models."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from group_inference.scorers.aesthetic import Aesthetic
from group_inference.scorers.clip import Clip, Siglip
from group_inference.scorers.dinov2 import Dinov2, Dinov3, PatchDistance
from group_inference.scorers.embedding import EmbeddingDistance, HostVision, Reference
from group_inference.scorers.lpips import Lpips
from group_inference.scorers.motion import Motion
from group_inference.scorers.open_clip import OpenClip
from group_inference.scorers.pool import Pool
from group_inference.scorers.structure import Edges, Ssim
from group_inference.scorers.text_image import ClipIqa, TextAxis, TextImage


def pictures(count, seed=0, height=40, width=28):
    coarse = torch.rand(count, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(height, width), mode="bilinear").movedim(1, -1)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def squashed(images, size):
    """As the paper's code: -1..1, bilinear, no antialiasing, back to 0..1."""
    return F.interpolate(images.movedim(-1, 1).double() * 2 - 1, size=size, mode="bilinear", align_corners=False) * 0.5 + 0.5


def normalised(x, backbone):
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (backbone.mean, backbone.std))
    return (x - mean) / std


def embed(out):
    return (out if torch.is_tensor(out) else out.pooler_output).detach().numpy()


def test_reference_mode_is_the_papers_clip(installed):
    from transformers import AutoTokenizer, CLIPModel

    net = CLIPModel.from_pretrained(installed / "tiny-clip")
    tokenizer, images = AutoTokenizer.from_pretrained(installed / "tiny-clip"), pictures(5)
    backbone = Clip.shared("tiny-clip", preprocess="reference")
    backbone.reference_size = (32, 32)  # the tiny model's; the real one's is 224
    ids = tokenizer(["two red tulips"], padding=True, return_tensors="pt").input_ids
    t = unit(embed(net.get_text_features(input_ids=ids)))  # in float32: transformers 4 has no text tower in float64
    x = unit(embed(net.double().get_image_features(pixel_values=normalised(squashed(images, (32, 32)), backbone))))
    assert np.allclose(TextImage(backbone, "two red tulips").score(Pool(images)).numpy(), (x @ t.T)[:, 0], atol=1e-5)
    assert np.allclose(EmbeddingDistance(backbone).score(Pool(images)).numpy(), 1 - x @ x.T, atol=1e-5)
    assert not torch.allclose(backbone(images), Clip.shared("tiny-clip")(images), atol=1e-3)
    assert backbone.resident is Clip.shared("tiny-clip").resident and Clip.reference_size == (224, 224)


def test_reference_mode_is_the_papers_dinov2(installed):
    from transformers import Dinov2Model

    net, images = Dinov2Model.from_pretrained(installed / "tiny-dinov2").double(), pictures(4)
    backbone = Dinov2.shared("tiny-dinov2", preprocess="reference")
    tokens = net(normalised(squashed(images, (256, 256)), backbone)).last_hidden_state.detach().numpy()
    assert tokens.shape[1] == 1 + 18 * 18
    patches = unit(tokens[:, 1:])
    by_place = 1 - np.einsum("ipc,jpc->ijp", patches, patches).mean(-1)
    assert np.allclose(PatchDistance(backbone).score(Pool(images)).numpy(), by_place, atol=1e-5)
    c = unit(tokens[:, 0])
    assert np.allclose(EmbeddingDistance(backbone).score(Pool(images)).numpy(), 1 - c @ c.T, atol=1e-5)


def test_pickscore_is_the_scaled_cosine(installed):
    backbone, images = Clip.shared("tiny-clip"), pictures(3)
    plain, scaled = (TextImage(backbone, "a rose", scaled).score(Pool(images)).double() for scaled in (False, True))
    assert torch.allclose(scaled, plain * backbone.resident.module.net.logit_scale.double().exp(), atol=1e-4)


def test_siglip_knows_lower_case_text_of_full_length(installed):
    from transformers import AutoTokenizer, SiglipModel

    net, backbone, images = SiglipModel.from_pretrained(installed / "tiny-siglip").double(), Siglip.shared("tiny-siglip"), pictures(4)
    tokenizer = AutoTokenizer.from_pretrained(installed / "tiny-siglip")
    ids = tokenizer(["a red rose"], padding="max_length", max_length=8, return_tensors="pt").input_ids
    x, t = (
        unit(embed(net.get_image_features(pixel_values=backbone.pixels(images, torch.float64)))),
        unit(embed(net.get_text_features(input_ids=ids))),
    )
    assert np.allclose(TextImage(backbone, "A red Rose").score(Pool(images)).numpy(), (x @ t.T)[:, 0], atol=1e-5)
    assert np.allclose(EmbeddingDistance(backbone).score(Pool(images)).numpy(), 1 - x @ x.T, atol=1e-5)


def test_hpsv2_is_open_clips_cosine(installed):
    import open_clip
    from open_clip.model import CLIP
    from safetensors.torch import load_file

    backbone, images = OpenClip.shared("tiny-hps"), pictures(4)
    net = CLIP(**backbone.architecture).eval()
    net.load_state_dict(load_file(installed / "tiny-hps" / "open_clip_model.safetensors"))
    net.double()
    ids = open_clip.SimpleTokenizer(context_length=16)(["two red tulips"])
    with torch.no_grad():
        x = unit(net.encode_image(backbone.pixels(images, torch.float64)).numpy())
        t = unit(net.encode_text(ids).numpy())
    assert np.allclose(TextImage(backbone, "two red tulips").score(Pool(images)).numpy(), (x @ t.T)[:, 0], atol=1e-5)


def test_dinov3_leaves_its_registers_out(installed):
    from transformers import DINOv3ViTModel

    net, backbone, images = DINOv3ViTModel.from_pretrained(installed / "tiny-dinov3").double(), Dinov3.shared("tiny-dinov3"), pictures(4)
    tokens = net(backbone.pixels(images, torch.float64)).last_hidden_state.detach().numpy()
    assert tokens.shape[1] == 1 + 4 + 16
    patches = unit(tokens[:, 5:])
    expected = 1 - np.einsum("ipc,jpc->ijp", patches, patches).mean(-1)
    assert np.allclose(PatchDistance(backbone).score(Pool(images)).numpy(), expected, atol=1e-5)


def test_motion_compares_the_changes_from_frame_to_frame(installed):
    from transformers import Dinov2Model

    net, backbone = Dinov2Model.from_pretrained(installed / "tiny-dinov2").double(), Dinov2.shared("tiny-dinov2")
    videos = pictures(12).view(4, 3, 40, 28, 3)
    features = []
    for video in videos:
        tokens = net(backbone.pixels(video, torch.float64)).last_hidden_state.detach().numpy()
        features.append([unit(frame[1:]).ravel() / np.sqrt(16) for frame in tokens])
    expected = np.zeros((4, 4))
    for i, a in enumerate(features):
        for j, b in enumerate(features):
            for t in range(2):
                expected[i, j] += np.sum(((a[t + 1] - a[t]) - (b[t + 1] - b[t])) ** 2) / 2 / 2
    assert np.allclose(Motion(backbone).score(Pool(videos)).numpy(), expected, atol=1e-5) and expected[0, 1] > 1e-3


def test_videos_that_stand_still_do_not_differ_in_motion(installed):
    videos = pictures(3).unsqueeze(1).repeat(1, 4, 1, 1, 1)
    videos[2, 1] = videos[2, 1].flip(0)
    distances = Motion(Dinov2.shared("tiny-dinov2")).score(Pool(videos))
    assert distances[0, 1] == 0 and distances[0, 2] > 1e-4 and distances[0, 2] == pytest.approx(float(distances[1, 2]), rel=1e-3)


def test_aesthetic_is_five_linear_layers_on_the_unit_embedding(installed):
    from safetensors.numpy import load_file

    backbone, images = Clip.shared("wide-clip"), pictures(3)
    x, head = unit(backbone(images).double().numpy()), load_file(installed / "aesthetic-v2" / "model.safetensors")
    for i in (0, 2, 4, 6, 8):
        x = x @ head[f"layers.{i}.weight"].T.astype(float) + head[f"layers.{i}.bias"]
    assert np.allclose(Aesthetic(backbone).score(Pool(images)).numpy(), x[:, 0], atol=1e-5)
    with pytest.raises(ValueError, match="needs CLIP ViT-L/14, whose embeddings have 768 numbers, not 16"):
        Aesthetic(Clip.shared("tiny-clip")).score(Pool(images))


def test_clip_iqa_is_the_share_of_the_good_prompt(installed):
    backbone, images = Clip.shared("tiny-clip"), pictures(4)
    x, t = unit(backbone(images).double().numpy()), backbone.text_features("Good photo.", "Bad photo.").double().numpy()
    powers = np.exp(backbone.scale * x @ t.T)
    assert np.allclose(ClipIqa(backbone).score(Pool(images)).numpy(), powers[:, 0] / powers.sum(1), atol=1e-5)


@pytest.mark.parametrize("by_place", [False, True])
def test_a_picture_is_most_like_itself(installed, by_place):
    backbone, images = Dinov2.shared("tiny-dinov2"), pictures(4)
    scores = Reference(backbone, images[2:3], by_place).score(Pool(images)).double().numpy()
    tokens = backbone(images).double().numpy()
    rows = unit(tokens[:, 1:]) if by_place else unit(tokens[:, :1])
    assert np.allclose(scores, np.einsum("ipc,pc->ip", rows, rows[2]).mean(1), atol=1e-5)
    assert scores.argmax() == 2 and scores[2] == pytest.approx(1, abs=1e-5)


def test_a_reference_without_pixels_is_refused(installed):
    with pytest.raises(ValueError, match="no pixels"):
        Reference(Dinov2.shared("tiny-dinov2"), torch.zeros(1, 0, 8, 3))


def test_text_axis_measures_along_the_named_directions_only(installed):
    backbone, images = Clip.shared("tiny-clip"), pictures(5)
    x = unit(backbone(images).double().numpy())
    poles = backbone.text_features("day", "night").double().numpy()
    direction = (poles[0] - poles[1]) / np.linalg.norm(poles[0] - poles[1])
    expected = (x @ direction)[:, None] - x @ direction
    assert np.allclose(TextAxis(backbone, "day / night").score(Pool(images)).numpy(), expected**2 / 2, atol=1e-5)
    span = TextAxis(backbone, "lighting, day / night")
    everything = EmbeddingDistance(backbone).score(Pool(images))
    found = span.score(Pool(images))
    assert (found <= everything + 1e-5).all() and (found >= torch.from_numpy(expected**2 / 2) / 2 - 1e-5).all()
    with pytest.raises(ValueError, match="what shall vary"):
        TextAxis(backbone, " , ")
    with pytest.raises(ValueError, match="'day / Day' look the same"):
        TextAxis(backbone, "lighting, day / Day").score(Pool(images))


def test_each_named_axis_counts_the_same(installed):
    """Of differences in any direction, whether an axis is two poles or a thing that fourteen words vary; and their mean counts."""
    backbone, axes = Clip.shared("tiny-clip"), ("lighting", "day / night", "red / blue / a rose")

    class Isotropic:
        """All unit directions and their negatives as embeddings: every direction differs as much as any other."""

        model_type, text_features = "isotropic", staticmethod(backbone.text_features)

        def __call__(self, images):
            return torch.cat([torch.eye(16), -torch.eye(16)])

    means = [float(TextAxis(Isotropic(), axis).score(Pool(pictures(1))).mean()) for axis in axes]
    assert means == pytest.approx([means[0]] * 3, rel=1e-4) and means[0] > 0.01
    images = pictures(6)
    alone = [TextAxis(backbone, axis).score(Pool(images)) for axis in axes]
    together = TextAxis(backbone, ", ".join(axes)).score(Pool(images))
    assert torch.allclose(together, torch.stack(alone).mean(0), atol=1e-6) and 0 < float(together.max()) <= 2


def test_a_text_axis_is_a_squared_distance(installed):
    """Of points in a flat space (Schoenberg): with the row means taken away -b / 2 has no negative eigenvalue."""
    b = TextAxis(Clip.shared("tiny-clip"), "lighting, day / night").score(Pool(pictures(12))).double().numpy()
    centre = np.eye(12) - 1 / 12
    assert np.linalg.eigvalsh(-centre @ b @ centre / 2).min() > -1e-7


def test_lpips_by_its_formula(installed):
    from safetensors.torch import load_file
    from torchvision.models import alexnet

    images, found = pictures(3, height=128, width=128), load_file(installed / "lpips-alex" / "model.safetensors")
    net = alexnet(weights=None).double()
    net.load_state_dict({k: v for k, v in found.items() if not k.startswith("lin")})
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1), torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
    x, layers = (images.movedim(-1, 1).double() * 2 - 1 - shift) / scale, []
    with torch.no_grad():
        for i, layer in enumerate(net.features[:12]):
            x = layer(x)
            if i in (1, 4, 7, 9, 11):
                layers.append(unit(x.movedim(1, -1).numpy() + 1e-300))
    expected = np.zeros((3, 3))
    for i, y in enumerate(layers):
        lin = found[f"lin{i}.model.1.weight"].double().numpy().ravel()
        expected += (((y[:, None] - y[None]) ** 2) @ lin).mean((2, 3))
    assert np.allclose(Lpips().score(Pool(images)).numpy(), expected, atol=1e-5)


def test_edges_see_layout_and_no_colour():
    left, right = torch.zeros(64, 64, 3), torch.zeros(64, 64, 3)
    left[16:48, 4:20], right[16:48, 44:60] = 1.0, 1.0
    green = left * torch.tensor([0.0, 1.0, 0.0])
    distance = Edges().score(Pool(torch.stack([left, right, green])))
    assert distance[0, 2] < 1e-3 and distance[0, 1] > 0.8


def test_ssim_by_its_formula():
    images = pictures(3, height=32, width=32)
    grey = images.double().numpy() @ [0.299, 0.587, 0.114]
    place = np.arange(-5, 6)
    window = np.exp(-(place**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2

    def blur(x):
        padded = np.pad(x, 5, mode="reflect")
        return np.array([[(padded[r : r + 11, c : c + 11] * window).sum() for c in range(32)] for r in range(32)])

    expected = np.zeros((3, 3))
    for i, a in enumerate(grey):
        for j, b in enumerate(grey):
            m, n = blur(a), blur(b)
            cov = blur(a * b) - m * n
            top = (2 * m * n + 1e-4) * (2 * cov + 9e-4)
            expected[i, j] = (1 - (top / ((m**2 + n**2 + 1e-4) * (blur(a * a) - m**2 + blur(b * b) - n**2 + 9e-4))).mean()) / 2
    assert np.allclose(Ssim().score(Pool(images)).numpy(), expected, atol=1e-5)


def test_a_clip_vision_that_has_no_pooled_embedding_is_refused():
    class Loaded:
        def __init__(self, tokens):
            self.tokens = tokens

        def encode_image(self, images):
            return {"image_embeds": images.mean((1, 2)).unsqueeze(1).expand(-1, self.tokens, 3).squeeze(1)}

    images = pictures(20)
    rows = unit(images.mean((1, 2)).double().numpy())
    assert np.allclose(EmbeddingDistance(HostVision(Loaded(1))).score(Pool(images)).numpy(), 1 - rows @ rows.T, atol=1e-5)
    with pytest.raises(ValueError, match="leaves out its pooling"):
        HostVision(Loaded(2))
