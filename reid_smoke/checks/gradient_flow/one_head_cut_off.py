from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import GraphFacts


@check("RS314", slug="one-head-cut-off", severity="fail", needs=[GraphFacts])
def one_head_cut_off(graphs: list[GraphFacts]) -> Finding | None:
    """One of several classifications has no path to what made its feature, although that is to be trained.

    What it means:
        The loss holds several CEs: of image and text, say. The feature of one of them was detached, or made under
        `no_grad`, and there are parameters in the optimizer that never get a gradient from any of them. The others go
        on as usual.

    Why it stops learning:
        That tower stays as it was initialised. Its CE may still fall, as the classifier learns to live with features
        that never change, and the CE of the other tower shows nothing at all. What is to be matched later, as SDM does
        with image and text, is matched with noise.

    Mend:
        Take away the `.detach()` or `torch.no_grad()` around that tower. If it is meant to be frozen, say so:

            text_encoder.requires_grad_(False)

    Seen in:
        Text encoders that are run under `no_grad` as they were for retrieval; features cached for another loss.
    """
    last = graphs[-1]
    if len(last.cut_off) == last.classifications or not last.left_out:
        return None
    which = ", ".join(map(str, last.cut_off))
    return Finding(
        f"of {last.classifications} classifications number {which} has no weight behind its feature, and the loss does "
        f"not reach {len(last.left_out)} parameters that the optimizer holds ({listed(last.left_out)})",
        step=last.step,
    )
