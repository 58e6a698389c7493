from math import sqrt

from reid_smoke.checks._colours import FITS, KEPT, compared, error_of_pairs
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LikenessFacts

PAIRS = 40  # of clips: fewer tell nothing
ERRORS = 4.0  # of the difference
LEAST = 0.1  # of the difference: several orders are tried


@check(
    "RS131", slug="frames-in-another-order", severity="fail", when="end", needs=[LikenessFacts],
    explains=["RS114", "RS115", "RS118", "RS125", "RS202", "RS203", "RS204", "RS401", "RS403", "RS408"],
)  # fmt: skip
def frames_in_another_order(likeness: list[LikenessFacts]) -> Finding | None:
    """The frames of clips stand in one order, and their labels, or the clips made of them, in another.

    What it means:
        A batch of B clips with T frames each makes B x T images, either with a clip's frames side by side or by turns,
        the first frame of each clip in front. The labels, one for each frame, are repeated as if it were the other of
        the two; or the model gathers frames into clips as if it were. In that order the colours of the images would fit
        their labels far better.

    Why it stops learning:
        Of T frames under one label one shows that person, and the others show somebody else; or each clip is put
        together from the frames of several people.

    Mend:
        Repeat, and gather, as the frames stand:

            images = clips.flatten(0, 1)                 # (B, T, 3, H, W): side by side
            labels = labels.repeat_interleave(T)         # not: labels.repeat(T)
            features = frames.view(B, T, -1).mean(1)     # not: frames.view(T, B, -1).mean(0)

    Seen in:
        Video models: `repeat` of NumPy is torch's `repeat_interleave`, and torch's `repeat` is NumPy's `tile`.
    """
    last = likeness[-1]
    if not last.frames or not last.reordered_auc > FITS:
        return None
    # Frames of one clip are nearly the same image: of labels for each frame only so many pairs say something new.
    pairs = last.pairs / (1 if last.clip > 1 else last.frames**2)
    if pairs < PAIRS or last.reordered_auc - last.auc < max(LEAST, ERRORS * sqrt(2) * error_of_pairs(pairs)):
        return None
    if not last.carried_to_loss - 2 * last.carried_to_loss_error > KEPT:  # rows that were put into the labels' order
        return None
    orders = ("side by side", "by turns") if last.side_by_side else ("by turns", "side by side")
    who = "the model gathers them" if last.clip > 1 else "the labels are repeated"
    return Finding(
        f"two {compared(last)} under one label are more alike in colour than two under different labels in "
        f"{last.auc:.0%} of the cases, and in {last.reordered_auc:.0%} (± {error_of_pairs(pairs):.0%}; 50% is chance) "
        f"with the {last.frames} frames of a clip {orders[0]}: {who} as if they stood {orders[1]}",
        step=last.step,
    )
