"""A question about each picture to a vision language model that the host has loaded as a CLIP which can write."""

import re

import torch

from .residency import host

ANSWER_TOKENS = 16
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Vlm:
    """u_i = the first number in the model's answer to `question` about picture i, greedily decoded, NaN where there is none.

    clip: the host's CLIP object. One picture per call, so late in the schedule only. Raises ValueError for a CLIP that cannot
    write about a picture, and for a trial answer without a number.
    """

    name = "vlm"
    needs_images = True

    def __init__(self, clip, question):
        self.clip, self.question = clip, question
        try:
            answer = self.ask(torch.zeros(1, 64, 64, 3))
        except Exception as e:  # every CLIP of the host has `generate`; those that cannot write fail in it in ways of their own
            if host and (isinstance(e, host.InterruptProcessingException) or host.is_oom(e)):
                raise
            raise ValueError(
                f"The vlm scorer needs a CLIP that can answer questions about images, such as Qwen3-VL, and its input clip, a {type(clip).__name__}, cannot: load one with CLIPLoader."
            ) from e
        if not NUMBER.search(answer):
            raise ValueError(
                f"The vlm scorer's model answered '{answer[:80]}' where a number is needed: ask for one number only, from 0 to 10 for example."
            )

    def ask(self, image):
        tokens = self.clip.tokenize(self.question, image=image, skip_template=False, min_length=1, thinking=False)
        return self.clip.decode(self.clip.generate(tokens, do_sample=False, max_length=ANSWER_TOKENS))

    def score(self, pool):
        found = (NUMBER.search(self.ask(image[None])) for image in pool.images)
        return torch.tensor([float(number.group()) if number else float("nan") for number in found])
