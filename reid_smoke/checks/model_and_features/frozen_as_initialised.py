from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import FrozenFacts
from reid_smoke.rule import Curve


@check(
    "RS511", slug="frozen-as-initialised", severity="fail", when="end", needs=[FrozenFacts, Curve],
    explains=["RS202", "RS203", "RS204", "RS401", "RS403", "RS417", "RS513"],
)  # fmt: skip
def frozen_as_initialised(frozen: list[FrozenFacts], curve: Curve) -> Finding | None:
    """Frozen weights are random: they look as they were initialised.

    What it means:
        Layers are frozen whose weights follow the distribution that an initialisation draws from, to within the error
        of the sample. No checkpoint has filled them, or they are new and a freeze pattern caught them.

    Why it stops learning:
        What is frozen is meant to be good already. Random weights that never change leave the head with whatever a
        random projection happens to keep; one that can tell nobody apart grows sure of wrong answers, and CE climbs.
        Where CE falls all the same, nothing is said.

    Mend:
        Load first and freeze last, and freeze by the names that the checkpoint brought:

            missing, _ = model.load_state_dict(pretrained, strict=False)
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name in missing)

    Seen in:
        Freeze patterns that catch a randomly initialised layer, in users' code; triplet-reid #30 (never loaded).
    """
    last = frozen[-1]
    if not last.fresh or curve.word not in ("flat", "slow", "rises"):
        return None
    return Finding(
        f"{last.fresh} of {last.weights} frozen weights look as they were drawn ({listed(last.examples)})",
        step=last.step,
    )
