from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LoaderFacts


@check("RS109", slug="loader-runs-dry", severity="fatal", needs=[LoaderFacts], explains=["RS108"])
def loader_runs_dry(loaders: list[LoaderFacts]) -> Finding | None:
    """The loader gives nothing any more after its first epoch.

    What it means:
        The sampler is a generator, or pops from a list that it never fills again: one pass uses it up. Or all epochs
        go through one iterator that was made before them, `iter(loader)`, which is at its end after the first.

    Why it stops learning:
        From the second epoch on the loop has no batches. It ends in seconds, epoch after epoch, and the scheduler
        counts them all.

    Mend:
        Build the order anew at every `__iter__`, and the iterator anew in every epoch:

            class PKSampler(Sampler):
                def __iter__(self):
                    return iter(self.draw())

    Seen in:
        centroids-reid #35 (the first epoch eats the data).
    """
    given = 0
    for facts in loaders:
        if facts.finished and not facts.batches_given and given:
            return Finding(f"epoch 1 gave {given} batches, epoch {facts.epoch} gave 0", step=given)
        given = given or (facts.batches_given if facts.finished else 0)
    return None
