from functools import partial

import nodes
import numpy as np
import torch
from comfy_api.latest import io

from ..sampling.kept import STORE
from ..sampling.record import report_of, row_of
from ..sampling.sheet import compared, sheet
from .types import CATEGORY

MOST = 16


class GroupSheet(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        report = io.String.Input("report", force_input=True)
        return io.Schema(
            node_id="GroupSheet",
            display_name="Group Sheet",
            category=CATEGORY,
            description="A contact sheet of all candidates of a run: seed, scores, and the step at which each left; the chosen ones are framed. Of several reports their groups, one below the other.",
            search_aliases=["group inference", "contact sheet", "grid", "xy plot", "candidates"],
            inputs=[
                io.Autogrow.Input(
                    "reports",
                    tooltip="The report of a Group KSampler or Group Report; of several a comparison, by what differs in their settings.",
                    template=io.Autogrow.TemplatePrefix(input=report, prefix="report", min=1, max=MOST),
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="Decodes every candidate. Without it the pictures that the scorers saw are shown, and of others coarse ones.",
                ),
                io.Int.Input("per_page", default=64, min=1, max=1024, optional=True, tooltip="Candidates on each page."),
                io.String.Input(
                    "filename_prefix", default="group_sheet", optional=True, tooltip="As of Save Image. The report goes into the file."
                ),
            ],
            outputs=[io.Image.Output(display_name="IMAGE", tooltip="The pages.")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, reports, vae=None, per_page=64, filename_prefix="group_sheet", **more) -> io.NodeOutput:
        if more:
            raise ValueError(
                f"{len(reports) + len(more)} reports are connected, but one sheet compares up to {MOST}: take another one for the others."
            )
        runs = [report_of(text) for text in reports.values()]
        picture = partial(_picture, vae)
        pages = [compared(runs, picture)] if len(runs) > 1 else sheet(runs[0], picture, per_page)
        images = torch.stack([torch.from_numpy(np.asarray(page).astype(np.float32) / 255) for page in pages])
        extra = {**(cls.hidden.extra_pnginfo or {}), "group_reports": runs}
        saved = nodes.SaveImage().save_images(images, filename_prefix, cls.hidden.prompt, extra)
        return io.NodeOutput(images, ui=saved["ui"])


def _picture(vae, run, seed, step):
    found = STORE.by_id(run.get("pool")).picture(seed, row_of(run, seed), step, vae)
    if found is None:
        raise ValueError("The candidates of this report are no pictures (but sound or shapes), so there is nothing to show on a sheet.")
    return found
