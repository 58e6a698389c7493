from __future__ import annotations

from collections.abc import Sequence

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ExecutionFacts, HandoverPlanFacts, ModeFacts, OutOfMemoryFacts, RunFacts, StepFacts
from reid_smoke.rule import Curve

GIB = 2**30
ELSEWHERE = 0.2  # share of a device's memory: the driver's own part is less
LATE = 10  # steps that fit, and that the next one does not says that something grows


@check("RS801", slug="out-of-memory", severity="fail", needs=[RunFacts], uses=[OutOfMemoryFacts, StepFacts,
       ExecutionFacts, HandoverPlanFacts, ModeFacts, Curve])  # fmt: skip
def out_of_memory(
    runs: list[RunFacts], times: list[OutOfMemoryFacts], steps: list[StepFacts], executions: list[ExecutionFacts],
    handovers: list[HandoverPlanFacts], modes: list[ModeFacts], curve: Curve,
) -> Finding | None:  # fmt: skip
    """A step does not fit into memory.

    What it means:
        Images, what each layer keeps of them for backward, gradients and the optimizer's state take more memory than
        the device has, or than others left of it. `run` then begins anew with half the batch, until it fits, with
        accumulation to make up for it: the verdict is of that training.

    Why it stops learning:
        It ends there. With accumulation the gradient is the same but for what a batch computes together: batch norm
        takes its statistics over the smaller batch, and a triplet loss or SDM compares within it alone.

    Mend:
        A batch that fits, and an optimizer step at every Nth of them, so that an update sees as many images as before:

            for number, (images, labels) in enumerate(loader, 1):
                (criterion(model(images), labels) / 4).backward()
                if number % 4 == 0:
                    optimizer.step()
                    optimizer.zero_grad()

        With PK sampling take fewer people and leave each its images. bf16 autocast and smaller images take less
        memory, too. If the first steps fit and a later one does not, something grows: `total += loss` keeps the graph
        of each step, `total += loss.detach()` keeps a number.

    Seen in:
        TransReID #2 and AlignedReID-Re-Production #1 (a smaller batch, or fewer people in it), dgd_person_reid #17 (a
        smaller batch and accumulation), person-reid-lib #14 (fewer people a batch, and worse figures for it).
    """
    if not times:
        return None
    first, last = times[0], times[-1]
    tried = dict(setting.split("=", 1) for setting in last.then)
    said = [_what_ran_out(times)]
    if tried and steps:
        fits = tried["data.batch_size"]
        said.append(f"{fits} fit, with an update every {tried['train.accumulate']} batches")
        if executions and executions[-1].peak and executions[-1].total:
            said[-1] += f", and take {_gib(executions[-1].peak)} of {_gib(executions[-1].total)}"
        if modes and modes[-1].batch_norms:
            said.append(f"{_norms(modes[-1].batch_norms)} {fits} images in place of {first.batch}")
    if handovers and not last.then:
        said.append("the steps of the warm-up fit, and with SDM a step takes more")
    elif first.step > LATE:
        said.append(f"the {first.step} steps before it fit: something grows from step to step, or the batch is larger")
    return Finding(
        "; ".join(said),
        step=first.step + 1,
        mend=_mend(runs[-1], last),
        severity="warn" if last.then or curve.word != "short" else None,
    )


def _what_ran_out(times: Sequence[OutOfMemoryFacts]) -> str:
    first = times[0]
    said = f"memory ran out at step {first.step + 1}"
    if first.rank:
        said += f" of rank {first.rank}"
    if first.batch is not None:
        said += f" with {first.batch} images a batch"
    if first.device:
        said += f" on {first.device}"
    if first.total is not None:
        said += f", which has {_gib(first.total)}"
        if first.peak is not None:
            said += f" and had given this training {_gib(first.peak)}"
        if first.elsewhere is not None and first.elsewhere > ELSEWHERE * first.total:
            said += f"; {_gib(first.elsewhere)} of it are held elsewhere, see nvidia-smi"
    smaller = [str(ran_out.batch) for ran_out in times[1:] if ran_out.rank == first.rank]
    return f"{said}, and with {', '.join(smaller)} as well" if smaller else said


def _mend(run: RunFacts, last: OutOfMemoryFacts) -> str | None:
    """As config lines, where there is a config; None: as the documentation says."""
    if run.way_in == "watch":
        return None
    if last.then:
        lines = "\n".join(_as_yaml(last.then))
        return (
            "Write down what fits. An update sees as many images as before; the window is as many updates long, and so "
            f"more batches:\n\n```yaml\n{lines}\n```\n\ntrain.amp: bf16 and smaller images take less memory, too."
        )
    if run.ranks > 1:
        return (
            "Several ranks are not begun anew with a smaller batch. Halve data.batch_size and double train.accumulate, "
            "or run it on one GPU first: that finds what fits."
        )
    return (
        "Halve data.batch_size and double train.accumulate; where no batch fits, give smaller images (data.height, "
        "data.width), train.amp: bf16 or a smaller model.backbone, and see with nvidia-smi who else holds memory."
    )


def _as_yaml(settings: Sequence[str]) -> list[str]:
    """`data.batch_size=16` as the lines of a config, each section once."""
    lines: list[str] = []
    for setting in settings:
        key, value = setting.split("=", 1)
        section, name = key.split(".", 1)
        if f"{section}:" not in lines:
            lines.append(f"{section}:")
        lines.append(f"  {name}: {value}")
    return lines


def _norms(count: int) -> str:
    return "one batch norm sees" if count == 1 else f"{count} batch norms see"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
