from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import WeightsFacts

MOST_MISSING = 0.2  # share of the model's keys; a replaced head is one of a hundred


@check("RS504", slug="weights-not-loaded", severity="fatal", needs=[WeightsFacts], explains=["RS202", "RS203"])
def weights_not_loaded(files: list[WeightsFacts]) -> Finding | None:
    """The checkpoint was read, but it did not arrive in the model.

    What it means:
        None or few of the file's keys are keys of the model, mostly because of a prefix, or since it is another
        model's. `load_state_dict(strict=False)` says nothing about that.

    Why it stops learning:
        What was meant to be pretrained is random, and 1e-5 is a learning rate for weights that are nearly right.

    Mend:
        Compare the names, and strip or add the prefix (`module.`, `base.`, `backbone.`) before loading. Look at what
        `load_state_dict` returns.

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
        if not facts.matched:
            return Finding(evidence)
        if wanted and facts.missing + facts.wrong_shape > MOST_MISSING * wanted:
            return Finding(evidence, severity="fail")
    return None
