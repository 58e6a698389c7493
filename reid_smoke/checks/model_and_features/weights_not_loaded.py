from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import WeightsFacts
from reid_smoke.rule import Curve

MOST_MISSING = 0.2  # share of the model's keys; a replaced head is one of a hundred
MOST_UNKNOWN = 0.5  # share of a file that a script loads; what a model lacks may have come from elsewhere


@check(
    "RS504",
    slug="weights-not-loaded",
    severity="fatal",
    needs=[WeightsFacts],
    uses=[Curve],
    explains=["RS202", "RS203", "RS115"],
)
def weights_not_loaded(files: list[WeightsFacts], curve: Curve) -> Finding | None:
    """The checkpoint was read, but it did not arrive in the model.

    What it means:
        None or few of the file's keys are keys of the model, mostly because of a prefix, or since it is another
        model's. `load_state_dict(strict=False)` says nothing about that, nor does a strict one of the model's own state
        dict, updated with what of the file fits.

    Why it stops learning:
        What was meant to be pretrained is random, and 1e-5 is a learning rate for weights that are nearly right.

    Mend:
        Compare the names, and strip or add the prefix (`module.`, `base.`, `backbone.`) before loading. Look at what
        `load_state_dict` returns, or count the names that fit.

    Seen in:
        triplet-reid #30 (the checkpoint was never loaded); open-reid #84 (not pretrained); SOLIDER #5 (head shape).
    """
    for facts in files:
        wanted = facts.matched + facts.missing + facts.wrong_shape
        evidence = (
            f"{facts.path}: {facts.matched} of the model's {wanted} keys matched, {facts.missing} missing, "
            f"{facts.wrong_shape} of another shape, {facts.unexpected} unknown to the model"
        )
        if facts.examples:
            evidence += f" ({listed(facts.examples)})"
        if facts.given_back:
            return Finding(
                f"{facts.path}: after a file had been read, all {facts.given_back} parameters given were the "
                f"model's own, and most weights look as an initialisation draws them ({listed(facts.examples)})",
                severity=grave_if_ce_fails(curve),
            )
        if facts.by == "script":
            # Whose model it is, and whether a later load mends it, is not known: CE tells how grave it is.
            if facts.unexpected > MOST_UNKNOWN * (facts.matched + facts.unexpected):
                return Finding(evidence, severity=grave_if_ce_fails(curve))
            continue
        if not facts.matched:
            return Finding(evidence)
        if wanted and facts.missing + facts.wrong_shape > MOST_MISSING * wanted:
            return Finding(evidence, severity="fail")
    return None
