from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LoaderFacts

# PK samplers estimate their length and stop when fewer than P identities are left, which costs up to a fifth of an
# epoch; half of it is no estimate any more.
GIVEN = 0.5


@check("RS108", slug="loader-shorter-than-promised", severity="fail", needs=[LoaderFacts], explains=["RS105", "RS203"])
def loader_shorter_than_promised(loaders: list[LoaderFacts]) -> Finding | None:
    """The loader's length is a lie.

    What it means:
        `len(loader)` promises an epoch of so many batches, and the loader stops after far fewer.

    Why it stops learning:
        Most of the data never comes up, and everything that counts in epochs (warm-up, decay, steps shown) is off by
        the same factor.

    Mend:
        Let the sampler's `__len__` count what `__iter__` really yields, images or batches, whichever it yields:

            def __len__(self):
                return len(self.batches)

    Seen in:
        A sampler whose `__len__` says 1863 and that yields 80; torchreid #45, #48; MMT #38.
    """
    for facts in loaders:
        promised = facts.batches_promised
        if facts.finished and promised and 0 < facts.batches_given < GIVEN * promised:
            return Finding(
                f"epoch {facts.epoch} promised {promised} batches and gave {facts.batches_given}",
                step=facts.batches_given,
            )
    return None
