"""Where a scorer's weights live: under the host's memory manager, or plainly on the CPU when there is no host."""

import torch

try:
    import comfy.model_management as host
    import comfy.model_patcher
except ImportError:  # scorers can be used and tested without ComfyUI
    host = None

CHUNK = 16


class _Holder(torch.nn.Module):
    """The host's patcher sets `device` on what it holds; transformers models have a read-only property of that name."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, *args, **kwargs):
        return self.net(*args, **kwargs)


class Resident:
    """A frozen module that is on its device whenever it is called through `over`."""

    def __init__(self, net):
        self.module, self.patcher = _Holder(net.eval().requires_grad_(False)), None
        if host:
            # Looked up at call time: the host rebinds CoreModelPatcher when dynamic memory is on.
            self.patcher = comfy.model_patcher.CoreModelPatcher(
                self.module, load_device=host.text_encoder_device(), offload_device=host.text_encoder_offload_device()
            )

    @property
    def device(self):
        return self.patcher.load_device if host else torch.device("cpu")

    def over(self, images, function):
        """function(net, chunk) over images [M, ...] in chunks on the device; results joined on the CPU.

        Interruptible between chunks; an out-of-memory error halves the chunk.
        """
        chunk, start, parts = CHUNK, 0, []
        if host:
            host.load_models_gpu([self.patcher])
        while start < len(images):
            if host:
                host.throw_exception_if_processing_interrupted()
            try:
                with torch.no_grad():
                    parts.append(function(self.module.net, images[start : start + chunk].to(self.device)).cpu())
                start += chunk
                continue
            except Exception as e:  # the host knows what counts as out of memory
                if not host or chunk == 1:
                    raise
                host.raise_non_oom(e)
                chunk = (chunk + 1) // 2
            host.soft_empty_cache()
        return torch.cat(parts)
