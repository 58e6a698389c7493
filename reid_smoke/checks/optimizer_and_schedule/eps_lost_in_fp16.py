from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ParameterFacts

SMALLEST = 6e-8  # fp16 knows no smaller number


@check(
    "RS410", slug="eps-lost-in-fp16", severity="fatal", needs=[ParameterFacts],
    explains=["RS201", "RS202", "RS203", "RS308", "RS403", "RS503"],
)  # fmt: skip
def eps_lost_in_fp16(parameters: list[ParameterFacts]) -> Finding | None:
    """The weights are fp16, and the optimizer's eps is smaller than any fp16 number.

    What it means:
        Adam divides by `sqrt(v) + eps`. In fp16 an eps of 1e-8 is 0, and so is v wherever the gradient is under 2e-4,
        for its square is under 6e-8.

    Why it stops learning:
        The step is 0 / 0 or a number over 0: weights become NaN or infinite within a few steps.

    Mend:
        Keep the weights in fp32 and compute in fp16 (`torch.autocast` and GradScaler), or in bf16. Where the weights
        must be fp16, raise eps:

            torch.optim.Adam(parameters, lr=1e-5, eps=1e-3)

    Seen in:
        IRRA (fp16 CLIP weights, Adam with eps 1e-3 for that reason); AdamW with its eps of 1e-8 gives -inf and NaN.
    """
    last = parameters[-1]
    lost = [
        p
        for p in last.parameters
        if p.dtype == "float16" and p.requires_grad and p.group is not None and p.eps is not None and p.eps < SMALLEST
    ]
    if not lost:
        return None
    return Finding(
        f"{len(lost)} of {len(last.parameters)} parameters are float16 and stepped by {last.optimizer} "
        f"with eps {lost[0].eps:g}, {lost[0].name} among them; the smallest float16 is 6e-08",
        step=last.step,
    )
