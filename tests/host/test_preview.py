import comfy.latent_formats
import comfy.model_management
import folder_paths
import pytest
import tiny
import torch
from comfy.nested_tensor import NestedTensor
from group_inference.sampling.preview import Previewer, key_frames, tile
from group_inference.scorers.pool import Pool
from tiny import group, small_vae


@pytest.fixture(autouse=True)
def no_small_vae_files(monkeypatch):
    monkeypatch.setattr(folder_paths, "get_filename_list", lambda name: [])


def test_a_connected_vae_decodes(flow_model):
    vae = small_vae()
    x0 = torch.randn(11, 16, 8, 8)
    with torch.inference_mode():
        previewer = Previewer(flow_model, vae)
        assert previewer.warning is None
        images = previewer(x0)
        expected = vae.decode(flow_model.model.process_latent_out(x0))
    assert images.shape == (11, 64, 64, 3) and torch.allclose(images, expected.cpu(), atol=1e-4)


def test_an_interrupt_ends_the_decoding_after_the_chunk_at_hand(flow_model, monkeypatch):
    class Interrupting:
        calls = 0

        def decode(self, latents):
            Interrupting.calls += 1
            comfy.model_management.interrupt_current_processing()
            return torch.zeros(len(latents), 64, 64, 3)

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        Previewer(flow_model, Interrupting())(torch.randn(64, 16, 8, 8))
    assert Interrupting.calls == 1


def test_the_hosts_small_vae_is_found_by_its_files(flow_model, monkeypatch, tmp_path):
    from safetensors.torch import save_file

    sd = small_vae().first_stage_model.state_dict()
    for part in ("encoder", "decoder"):
        save_file(
            {k.removeprefix(f"taesd_{part}."): v.contiguous() for k, v in sd.items() if k.startswith(f"taesd_{part}.")},
            tmp_path / f"taef1_{part}.safetensors",
        )
    monkeypatch.setattr(folder_paths, "get_filename_list", lambda name: ["taef1_decoder.safetensors", "taef1_encoder.safetensors"])
    monkeypatch.setattr(folder_paths, "get_full_path_or_raise", lambda name, file: str(tmp_path / file))
    with torch.inference_mode():
        previewer = Previewer(flow_model)
        assert previewer.warning is None and previewer.vae is not None
        assert torch.allclose(previewer(torch.randn(2, 16, 8, 8)).mean(), torch.tensor(0.5), atol=0.5)


def test_latent_to_rgb_is_the_last_resort_and_says_so(flow_model):
    previewer = Previewer(flow_model)
    assert "connect a VAE" in previewer.warning and "taef1_decoder" in previewer.warning
    assert previewer(torch.randn(3, 16, 8, 8)).shape == (3, 8, 8, 3)


def test_without_any_decoder_the_vae_input_is_named(flow_model, monkeypatch):
    monkeypatch.setattr(comfy.latent_formats, "Flux", comfy.latent_formats.LatentFormat)
    bare = flow_model.clone()
    bare.add_object_patch("latent_format", comfy.latent_formats.LatentFormat())
    with pytest.raises(ValueError, match="connect a VAE to the vae input"):
        Previewer(bare)


def test_large_pictures_are_scored_small(flow_model, monkeypatch):
    previewer = Previewer(flow_model)
    assert previewer(torch.randn(1, 16, 600, 300)).shape == (1, 512, 256, 3)


def test_video_shows_key_frames_each_as_it_is_alone(flow_model):
    previewer = Previewer(flow_model)
    x0 = torch.randn(11, 16, 9, 8, 6)
    images = previewer(x0)
    assert images.shape == (11, 4, 8, 6, 3)
    for i, frame in enumerate((0, 3, 5, 8)):
        assert torch.equal(images[:, i], previewer(x0[:, :, frame]))
    assert previewer(x0[:, :, :1]).shape == (11, 8, 6, 3) and previewer(x0[:, :, :2]).shape == (11, 2, 8, 6, 3)


def test_a_video_vae_decodes_each_key_frame_alone(flow_model):
    class VideoVAE:
        """Stands in for a VAE of videos: a latent of one frame becomes a video [B, 1, H, W, 3]."""

        def decode(self, samples):
            assert samples.shape[2] == 1
            return samples[:, :3].movedim(1, -1).sigmoid()

    x0 = torch.randn(3, 16, 2, 8, 6)
    expected = flow_model.model.process_latent_out(x0)[:, :3].permute(0, 2, 3, 4, 1).sigmoid()
    assert torch.allclose(Previewer(flow_model, VideoVAE())(x0), expected)


@pytest.mark.parametrize(("length", "frames"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3]), (5, [0, 1, 3, 4]), (21, [0, 7, 13, 20])])
def test_key_frames_are_evenly_spaced_from_first_to_last(length, frames):
    assert key_frames(torch.zeros(1, 16, length, 2, 2)) == frames


def test_a_pool_of_videos_takes_no_more_memory_than_one_of_pictures(flow_model):
    previewer = Previewer(flow_model)
    still, video = previewer(torch.randn(1, 16, 600, 300)), previewer(torch.randn(1, 16, 5, 600, 300))
    assert video.shape == (1, 4, 256, 128, 3) and video.numel() == still.numel()


def test_tiles_stand_in_reading_order():
    x0 = torch.arange(1.0, 6.0).view(5, 1, 1, 1).expand(5, 1, 2, 3)
    assert tile(x0)[0, 0, ::2, ::3].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert tile(x0[:1]).shape == (1, 1, 2, 3)
    assert max(tile(torch.zeros(16, 16, 128, 96)).shape[-2:]) <= 256


@pytest.mark.parametrize("side", [4, 96], ids=["as it is", "averaged down"])
def test_tiles_of_videos_are_the_tiles_of_their_frames(flow_model, side):
    x0 = torch.randn(5, 16, 3, side, side)
    tiled = tile(x0)
    assert tiled.shape[:3] == (1, 16, 3) and tiled.shape[-1] <= 3 * side
    for t in range(3):
        assert torch.equal(tiled[:, :, t], tile(x0[:, :, t]))
    # The host shows the first frame of a video.
    host = Previewer(flow_model).rgb
    assert host.decode_latent_to_preview(tiled) == host.decode_latent_to_preview(tile(x0[:, :, 0]))


def test_nested_latents_are_looked_at_by_their_first_tensor(flow_model, monkeypatch):
    """A latent of two tensors, as video with sound: the host packs it, scorers see the picture part."""
    seen = []

    class Looking:
        name, needs_images = "looking", True

        def score(self, pool: Pool):
            seen.append((tuple(pool.images.shape), tuple(pool.x0.shape)))
            return pool.x0.mean((1, 2, 3))

    shapes = [(1, 16, 8, 8), (1, 2, 10)]
    latent = {"samples": NestedTensor([torch.zeros(s) for s in shapes])}
    extra_conds, noted = flow_model.model.extra_conds, {}

    def with_shapes(**kwargs):
        import comfy.conds

        noted["latent_shapes"] = kwargs["latent_shapes"]
        return {
            **extra_conds(**{**kwargs, "noise": torch.zeros(shapes[0])}),
            "latent_shapes": comfy.conds.CONDConstant(kwargs["latent_shapes"]),
        }

    def first_part(x, t, *args, **kwargs):
        return x * 0.5

    monkeypatch.setattr(flow_model.model, "extra_conds", with_shapes)
    monkeypatch.setattr(flow_model.model, "apply_model", first_part)
    got, report = group(flow_model, 5, latent, candidates=3, size=2, unary=Looking())
    # The first call is the trial before sampling.
    assert seen[0][1] == (2, 16, 8, 8) and seen[1] == ((3, 8, 8, 3), (3, 16, 8, 8))
    assert [tuple(t.shape) for t in got["samples"].unbind()] == [(2, *s[1:]) for s in shapes]
    for i, seed in enumerate(report["seeds"]):
        alone = tiny.stock(flow_model, seed, latent)
        for ours, stock in zip(got["samples"].unbind(), alone.unbind(), strict=True):
            assert tiny.relative_error(ours[i : i + 1], stock) < 1e-4
