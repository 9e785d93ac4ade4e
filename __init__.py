"""Group Inference for ComfyUI: sample many candidates, keep the jointly best few."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    from .nodes import GroupInference

    return GroupInference()
