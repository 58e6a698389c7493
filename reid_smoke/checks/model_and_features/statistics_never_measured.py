from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import StatisticsFacts
from reid_smoke.rule import Curve


@check(
    "RS513", slug="statistics-never-measured", severity="fail", when="end", needs=[StatisticsFacts, Curve],
    explains=["RS202", "RS203", "RS204", "RS207", "RS401", "RS403", "RS417", "RS502", "RS506"],
)  # fmt: skip
def statistics_never_measured(statistics: list[StatisticsFacts], curve: Curve) -> Finding | None:
    """The batch norms are in eval mode, and their statistics are those of no data: mean 0, variance 1.

    What it means:
        Most batch norms of the model normalise by running statistics that nothing has ever measured: no checkpoint
        brought any, and eval mode does not update them.

    Why it stops learning:
        They normalise nothing. Activations grow or vanish from layer to layer, as they did before there were batch
        norms, and the classifier sees a feature of any size. Where CE falls all the same, nothing is said.

    Mend:
        Fix batch norms only with the statistics of a checkpoint; without one, train them:

            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d) and module.num_batches_tracked > 0:
                    module.eval()

    Seen in:
        Fine-tuning recipes that set every batch norm to eval, started from scratch; layumi #218 (BN in train and eval).
    """
    last = statistics[-1]
    if 2 * last.unmeasured <= last.batch_norms or curve.word not in ("flat", "slow", "rises", "broken"):
        return None
    return Finding(
        f"{last.unmeasured} of {last.batch_norms} batch norms are in eval mode with a mean of 0 and a variance of 1 "
        f"throughout ({listed(last.examples)})",
        step=last.step,
    )
