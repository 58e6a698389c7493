from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import typical
from reid_smoke.facts import StepFacts

STEPS = 40  # the first ones fill caches and start processes
SHARE = 0.5  # of a step's time
WORTH_MENDING_S = 0.05  # a step


@check("RS701", slug="data-starved", severity="warn", needs=[StepFacts])
def data_starved(steps: list[StepFacts]) -> Finding | None:
    """The training waits for its data.

    What it means:
        Most of each step is spent waiting for the next batch: images are read, decoded and changed more slowly than
        the model takes them.

    Why it stops learning:
        It does not. It makes each step, and with it the whole training, several times as long as it need be.

    Mend:
        More loader processes, kept alive between epochs, and memory that the GPU fetches from by itself:

            DataLoader(dataset, num_workers=8, persistent_workers=True, pin_memory=True, prefetch_factor=4)

        Where the cores are all busy already: store the images at the size that the model sees, decode them once and
        keep them (a ReID crop is 100 kB), and do flips, crops and normalising on the GPU, a whole batch at once.

    Seen in:
        Classic Pillow pipelines: one core puts 590 crops a second through Resize, Flip, Pad, Crop, ToTensor and
        Normalize, and a GPU takes 4,500.
    """
    later = steps[STEPS:]
    if len(later) < STEPS:
        return None
    waiting, computing = typical(later, "data_s"), typical(later, "compute_s")
    if waiting is None or computing is None or waiting < WORTH_MENDING_S:
        return None
    share = waiting / (waiting + computing)
    if share < SHARE:
        return None
    return Finding(
        f"{waiting * 1e3:.0f} ms of a step's {(waiting + computing) * 1e3:.0f} ms go by waiting for the batch, "
        f"{share:.0%} (medians from step {later[0].step} on)",
        step=later[-1].step,
    )
