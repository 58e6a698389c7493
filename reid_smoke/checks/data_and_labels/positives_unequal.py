from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import CrashFacts


@check("RS128", slug="positives-unequal", severity="fatal", needs=[CrashFacts])
def positives_unequal(crashes: list[CrashFacts]) -> Finding | None:
    """A triplet loss counts on as many images of each identity, and a batch holds more of one than of another.

    What it means:
        The mining picks the distances of all pairs under one label, and gives each image a row of them by
        `view(N, -1)`. That takes every identity of the batch to have equally many images. Here they have not: the batch
        was drawn at random, or the sampler's batches and the loader's are of different sizes, or the last batch is cut
        short.

    Why it stops learning:
        The training ends there, with sizes that are found nowhere in the code: the second one is the number of pairs.
        Where that happens to be divisible by N nothing is raised, and the rows hold other images' distances.

    Mend:
        Draw P identities and K images of each, hand the sampler the batch size that the loader has, and leave a last
        batch out that is not full:

            DataLoader(dataset, batch_size=P * K, sampler=RandomIdentitySampler(dataset, P * K, K), drop_last=True)

        Or mine in a way that does not mind, with a mask in place of the `view`:

            hardest_positive = distances.masked_fill(~is_pos, 0).amax(1)
            hardest_negative = distances.masked_fill(is_pos, float("inf")).amin(1)

    Seen in:
        reid-strong-baseline #73, #201; person-reid-triplet-loss-baseline #35; person-reid-tiny-baseline #28;
        batch-dropblock-network #16.
    """
    for crash in crashes:
        sizes = crash.unequal
        if sizes:
            return Finding(
                f"the {sum(sizes)} images of the batch after step {crash.step} are of {len(sizes)} identities, "
                f"{sizes[0]} to {sizes[-1]} of each: {sum(n * n for n in sizes)} pairs under one label make no "
                f"{sum(sizes)} rows of one length: {crash.message} ({crash.where})",
                step=crash.step + 1,
            )
    return None
