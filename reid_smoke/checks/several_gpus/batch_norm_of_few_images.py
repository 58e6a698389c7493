from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.several_gpus._ranks import side_by_side
from reid_smoke.facts import ModeFacts, RankFacts, StepFacts

FEW = 8  # images; statistics over fewer are mostly noise


@check("RS605", slug="batch-norm-of-few-images", severity="warn", needs=[StepFacts, RankFacts, ModeFacts])
def batch_norm_of_few_images(steps: list[StepFacts], others: list[RankFacts], modes: list[ModeFacts]) -> Finding | None:
    """Batch norm takes its statistics over a few images of one rank.

    What it means:
        The batch was divided among the ranks, and each batch norm sees its own rank's share of it alone.

    Why it stops learning:
        Mean and spread over a few images change from batch to batch, with PK sampling they are those of one or two
        people, and the same recipe gives another result on another number of GPUs.

    Mend:
        Take the statistics over all ranks, or give each rank more images:

            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)   # before DistributedDataParallel

    Seen in:
        OpenUnReID #29 (the batch of the batch norm changes with the number of GPUs).
    """
    mode, rows = modes[-1], side_by_side(steps, others)
    training = mode.batch_norms - mode.batch_norms_in_eval
    if not rows or training <= 0 or mode.batch_norms_synced:
        return None
    batches = [sorted(row[rank].batch for row in rows)[len(rows) // 2] for rank in rows[-1]]
    if max(batches) >= FEW:
        return None
    return Finding(
        f"{training} batch norms see {max(batches)} images each, of the {sum(batches)} that {len(batches)} ranks have "
        "together",
        step=rows[-1][0].step,
    )
