from math import isfinite, log

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import HeadRecord, HeadsFacts
from reid_smoke.rule import Curve

LOOKS = 3  # in a row at which the labels were out of order
MOST = 0.5  # of the rows may have their label all the same: images of one identity stand side by side
LEARNT = 1.0  # nats under chance: what the heads with the right labels have come to
NOTHING = 0.25  # nats under chance: the spread of a single batch


@check(
    "RS124", slug="one-head-mislabelled", severity="warn", needs=[HeadsFacts, Curve],
    explains=["RS202", "RS203", "RS118"],
)  # fmt: skip
def one_head_mislabelled(looks: list[HeadsFacts], curve: Curve) -> Finding | None:
    """One of several heads is given the labels in another order than the others, and learns nothing.

    What it means:
        A model of parts has several heads, whose CEs are summed up. All of them get the same rows, and the labels of
        one are those of the others, but not row by row. The CE of the others falls; this one's stays at chance.

    Why it stops learning:
        An image of one person is called another's in this part, and yet another's the next time: there is nothing to be
        learnt of it. The backbone is shared, and gets this noise with every step. The heads that are right may hide it.

    Mend:
        Give each head the labels as they came with the batch. Where a part's rows are put in another order (shuffled,
        sorted, repeated), put the labels in that order as well, and in no other place:

            scores = torch.cat([head(f) for head, f in zip(heads, features)])   # (P B, C), part by part
            loss = F.cross_entropy(scores, labels.repeat(P))                    # not repeat_interleave

    Seen in:
        Parts of PCB and MGN put together by rows, and labels that were shuffled for one branch alone.
    """
    last = looks[-1]
    others = {head.name: head for head in last.heads if _differs_throughout(head.name, looks)}
    bar = log(last.num_classes) - LEARNT
    names = [name for name, head in others.items() if _is_at_chance(head.ce, last)]
    if names and last.ce <= bar:
        wrong, right = others[names[0]].ce, last.ce
    elif others.keys() == {head.name for head in last.heads} and _is_at_chance(last.ce, last):
        names, wrong, right = [last.judged or "the judged one"], last.ce, min(head.ce for head in others.values())
        if right > bar:
            return None
    else:
        return None
    same = max(head.same_labels for head in others.values())
    return Finding(
        f"{listed(names)}: of {len(last.heads) + 1} heads {len(names)} given the batch's labels in another order, "
        f"{same:.0%} of them in their place; CE there is {wrong:.2f} (chance is {log(last.num_classes):.2f}), and "
        f"{right:.2f} with the labels as they are",
        step=last.step,
        severity=grave_if_ce_fails(curve),
    )


def _differs_throughout(name: str, looks: list[HeadsFacts]) -> bool:
    found = [head for look in looks for head in look.heads if head.name == name]
    return len(found) >= LOOKS and all(_differs(head) for head in found[-LOOKS:])


def _differs(head: HeadRecord) -> bool:
    return head.reordered and head.same_labels <= MOST


def _is_at_chance(ce: float, look: HeadsFacts) -> bool:
    return isfinite(ce) and ce >= log(look.num_classes) - NOTHING
