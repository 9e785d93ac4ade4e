from comfy_api.latest import io

from ..scorers.combine import Combined, QualityFloor, terms
from .types import CATEGORY, GroupPairwise, GroupUnary

MOST = 16


def parse_weights(text, count):
    """One number for all, or one each. Raises ValueError otherwise."""
    try:
        values = [float(part) for part in str(text).split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= count
    if len(values) != count or not all(0 <= v < float("inf") for v in values) or not any(values):
        raise ValueError(
            f"weights must be one number or {count} numbers with commas between, none negative and not all 0, but it is {text!r}."
        )
    return values


def schema(socket, name, word):
    """What the nodes that combine scorers of one kind have in common."""
    return {
        "category": CATEGORY,
        "description": f"Several {word} scorers as one. With the objective paper their raw scores are added; with all others each is put on the same scale first.",
        "search_aliases": ["group inference", "combine", "mix", "ensemble", f"{name} scorers"],
        "inputs": [
            io.Autogrow.Input(
                "scorers",
                tooltip=f"The {word} scorers; a new input appears when the last is connected.",
                template=io.Autogrow.TemplatePrefix(input=socket.Input("scorer"), prefix="scorer", min=1, max=MOST),
            ),
            io.String.Input("weights", default="1", tooltip="One number for all, or one for each with commas between: 1, 0.5, 2."),
        ],
        "outputs": [socket.Output(display_name=name)],
    }


def combined(scorers, weights, more):
    # The host hands over links beyond the last input under names of their own.
    if more:
        raise ValueError(
            f"{len(scorers) + len(more)} scorers are connected, but one node combines up to {MOST}: combine some in another node of this kind and connect that."
        )
    connected = [scorer for scorer in scorers.values() if terms(scorer, socket="scorers")]
    return io.NodeOutput(Combined(list(zip(connected, parse_weights(weights, len(connected)), strict=True))))


# Two classes with ids in full: ComfyUI-Manager, which knows the pack that has a missing node, reads ids without running anything.
class CombineUnaryScorers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="CombineUnaryScorers", display_name="Combine Quality Scorers", **schema(GroupUnary, "unary", "quality"))

    @classmethod
    def execute(cls, scorers, weights, **more) -> io.NodeOutput:
        return combined(scorers, weights, more)


class CombinePairwiseScorers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="CombinePairwiseScorers", display_name="Combine Difference Scorers", **schema(GroupPairwise, "pairwise", "difference")
        )

    @classmethod
    def execute(cls, scorers, weights, **more) -> io.NodeOutput:
        return combined(scorers, weights, more)


class QualityFloorNode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="QualityFloor",
            display_name="Quality Floor",
            category=CATEGORY,
            description="No candidate whose raw score is below the floor is selected while enough others remain. The report names those that were cut.",
            search_aliases=["group inference", "minimum quality", "threshold"],
            inputs=[
                GroupUnary.Input("unary", tooltip="One unary scorer: put the floor before combining several."),
                io.Float.Input("minimum", default=0.2, min=-1000.0, max=1000.0, step=0.01, tooltip="In the scorer's own units."),
            ],
            outputs=[GroupUnary.Output(display_name="unary")],
        )

    @classmethod
    def execute(cls, unary, minimum) -> io.NodeOutput:
        if not terms(unary, socket="unary"):
            raise ValueError("The input unary got nothing to put a floor under: connect a Quality Scorer.")
        if isinstance(unary, Combined):
            raise ValueError(
                f"A floor belongs under one scorer, but unary is a combination ({unary.name}): connect the floor before combining."
            )
        return io.NodeOutput(QualityFloor(unary, minimum))
