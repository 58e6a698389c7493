from collections import defaultdict

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LoaderFacts

# PK samplers estimate their length and stop when fewer than P identities are left. That costs up to a fifth of an epoch
# and, where a few identities have most of the images, as clusters do, half of one epoch and hardly any of the next.
GIVEN = 0.5
HARDLY = 0.25  # no estimate any more, however the images are shared out


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
    of_length = defaultdict[int, list[int]](list)
    for facts in loaders:
        if facts.finished and facts.batches_promised and facts.batches_given:
            of_length[facts.batches_promised].append(facts.batches_given)
    for promised, given in of_length.items():
        if max(given) < GIVEN * promised:
            epochs = f"{len(given)} epochs promised {promised} batches each and gave at most" if given[1:] else ""
            return Finding(
                f"{epochs or f'an epoch promised {promised} batches and gave'} {max(given)}",
                step=given[0],
                severity=None if max(given) < HARDLY * promised else "warn",
            )
    return None
