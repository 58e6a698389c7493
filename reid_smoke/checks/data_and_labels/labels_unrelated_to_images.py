from math import log
from statistics import fmean

from reid_smoke.checks._colours import PAIRS, compared, error_of_pairs
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.data_and_labels._coverage import overfits
from reid_smoke.checks.data_and_labels.patches_out_of_scale import with_loud_patches
from reid_smoke.checks.reading import asks_which_row, has_no_labels
from reid_smoke.facts import GraphFacts, ImageFacts, LikenessFacts, RunFacts, StepFacts
from reid_smoke.rule import Curve

LEAST_CLASSES = 3  # two may be "the same person" and "another one", of pairs, which no single image tells
NEAR_CHANCE = 0.03  # a quarter of the way to 0.63; images shuffled within a batch keep a sixteenth of their own labels
HARDLY = 0.25  # nats under chance


@check(
    "RS118", slug="labels-unrelated-to-images", severity="fail", when="end", needs=[LikenessFacts, Curve],
    uses=[StepFacts, GraphFacts, RunFacts, ImageFacts],
    explains=["RS115", "RS202", "RS203", "RS204", "RS401", "RS403", "RS408"],
)  # fmt: skip
def labels_unrelated_to_images(
    likeness: list[LikenessFacts],
    curve: Curve,
    steps: list[StepFacts],
    graphs: list[GraphFacts],
    runs: list[RunFacts],
    images: list[ImageFacts],
) -> Finding | None:
    """The labels have nothing to do with the images.

    What it means:
        Two images under one label look no more alike than two under different labels. Even the colours of an image,
        stripe by stripe, tell people apart far better than chance, long before anything is learnt; here they do not.
        And CE does not fall on images that the model has not seen before.

    Why it stops learning:
        There is nothing to be learnt but each image by heart. Labels were shuffled against their images; a list of
        paths was sorted while the list of labels was not. Or the images show nobody any more: noise, an augmentation
        far too strong, crops of the wrong place.

    Mend:
        Put ten images beside their labels and look: `reid-smoke inspect CONFIG` saves such a sheet. Keep path and label
        in one tuple from the start, and sort or shuffle those:

            samples = sorted((path, pid) for path, pid in zip(paths, pids))

    Seen in:
        torchreid PR #294 (label order varies by machine); a comparison of eight tools over 23 faults, in which none
        named permuted labels.
    """
    last = likeness[-1]
    if last.pairs < PAIRS or overfits(runs) or not steps or not graphs or asks_which_row(steps, graphs[-1]):
        return None
    if graphs[-1].num_classes < LEAST_CLASSES or has_no_labels(graphs) or with_loud_patches(images):
        return None  # whose colours drown those of the people
    error = error_of_pairs(last.pairs)
    hard_data = max(2 * error, NEAR_CHANCE if curve.word == "flat" else 0.0)  # which lies a little over chance
    if not last.auc < 0.5 + hard_data:
        return None
    # What falls on images of the first epoch has found something in them.
    if curve.word in ("passes", "slow", "short") and not _only_by_heart(steps, graphs[-1].num_classes):
        return None
    return Finding(
        f"two images under one label are more alike in colour than two under different labels in {last.auc:.0%} of the "
        f"cases (± {error:.0%}; 50% is chance, 65% and more is usual), {last.pairs} pairs among {last.images} "
        f"{compared(last)}",
        step=last.step,
    )


def _only_by_heart(steps: list[StepFacts], classes: int) -> bool:
    """CE fell, but hardly on the images of the first epoch, which are new but for what a sampler repeats."""
    first = [s.ce for s in steps if s.epoch == 1]
    return len(first) < len(steps) and fmean(first[2 * len(first) // 3 :]) > log(classes) - HARDLY
