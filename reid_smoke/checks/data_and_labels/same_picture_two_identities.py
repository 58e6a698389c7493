from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, Severity, check
from reid_smoke.facts import ImageFacts
from reid_smoke.rule import Curve

FEW = 0.05
MOST = 0.5  # share of a batch: a few pictures that were filed twice spoil little, half of them everything


@check(
    "RS114", slug="same-picture-two-identities", severity="fail", needs=[ImageFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS204", "RS401", "RS403", "RS503", "RS115", "RS118"],
)  # fmt: skip
def same_picture_two_identities(batches: list[ImageFacts], curve: Curve) -> Finding | None:
    """The very same picture comes under two identities.

    What it means:
        Within one batch there are images that are equal in every pixel and carry different labels: a picture was filed
        under two people, a cache hands out one picture for all, or all are read into one buffer, and each item of the
        batch shows what was read last.

    Why it stops learning:
        No model can give one picture two answers: CE cannot fall below log 2 for such a pair. Where all pictures are
        one, it stays at chance. A few of them are reported as a warning.

    Mend:
        Hash the files and look for hashes under more than one identity. In a `__getitem__` that caches, look at the
        key: it must hold the index. A buffer that is used again needs a copy: `return buffer.clone(), label`.

    Seen in:
        Folders merged from several data sets; caches keyed by the file's name, which repeats from folder to folder.
    """
    looked_at = sum(b.shape[0] for b in batches)
    twins = sum(b.twins_of_another_label for b in batches)
    if not twins:
        return None
    first = next(b for b in batches if b.twins_of_another_label)
    return Finding(
        f"{twins} of {looked_at} images looked at have a twin in their batch, equal in every pixel, "
        f"under another label; first at step {first.step}",
        step=first.step,
        severity=_severity(twins / looked_at, curve),
    )


def _severity(share: float, curve: Curve) -> Severity:
    if share > MOST:
        return "fail"
    return grave_if_ce_fails(curve) if share > FEW else "warn"
