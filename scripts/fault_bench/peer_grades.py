"""What counts as naming a fault's cause, when another tool says it, and the table of the tools beside ours.

Grading needs what was kept in the outcomes and nothing else, so that `bench_faults.py --merge` grades anew. A tool's
complaint has its say in full: title, evidence, causes and advice. Where it was in doubt whether a phrase names the
cause, it does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from fault_bench.faults import all_faults
from fault_bench.peers import TOOLS

BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"

Grade = Literal["named", "listed", "wrong", "missed"]
GRADES: tuple[Grade, ...] = ("named", "listed", "wrong", "missed")

NOT_LEARNING = r"not learning|did not decrease|uniform distribution"
NOT_UPDATED = r"weights are not updated|did not change after an optimizer step"
NO_GRADIENT = r"no gradient|(all-zero|exactly zero|zero) gradient|gradient appears vanished|graph is cut|detach"
NOT_FINITE = r"(nan|inf|non-finite)\b.*(gradient|loss)|(gradient|loss|grad_norm)\S* .*(nan|inf|non-finite)\b"
LR_TOO_SMALL = r"(learning rate|\blr\b).*(too (low|small)|zero)|ratio is tiny|check the learning rate|higher learning"

# By the slug of what should be said: any of these words names it.
WORDS: dict[str, str] = {
    # data, labels, batches
    "label-out-of-range": r"out of (bounds|range)|labels outside|num_classes",
    "one-identity-a-batch": r"dominant class|targets is nearly constant|one (class|identity|label)|imbalanc",
    "images-unreadable": r"no such file|unreadable|filenotfound|corrupted|truncated",
    "label-never-seen": r"label.*(never|missing|absent)|class.*(never|missing|absent)",
    "head-wider-than-labels": r"(head|class|output).*(too wide|too many|unused|never)|num_classes",
    "one-label-for-all": r"dominant class|targets is nearly constant|one (class|identity|label)|imbalanc",
    "head-with-one-output": r"dominant class|targets is nearly constant|(one|single) (class|output|label)",
    "loader-shorter-than-promised": r"(sampler|loader)\S* (length|promised|shorter)|__len__",
    "loader-runs-dry": r"(sampler|loader).*(dry|exhaust|empty)|no batch|generator",
    "batches-repeat": r"same batch|batch\S* repeat|unshuffled|loader shuffles",
    "images-constant": r"inputs is nearly constant|same (output|prediction)|input ignored|no influence on the output",
    "images-unscaled": r"inputs abs max|input (scale|normali[sz]ation)|not normali[sz]ed",
    "images-not-finite": r"inputs has non-finite|nan.*(inputs|output)|outputs?.*nan",
    "same-picture-two-identities": r"duplicate|same (image|picture)",
    "labels-unrelated-to-images": r"labels are misaligned|wrong labels|mislabel|targets match|noisy labels",
    "labels-shifted": r"labels are misaligned|wrong labels|mislabel|targets match|noisy labels",
    "last-batch-of-one": r"batch (of|size of|size) (1|one)\b|more than 1 value",
    "too-few-identities-a-batch": r"dominant class|imbalanc|few (classes|identities|labels)",
    "folder-empty": r"empty (folder|directory|data ?set)|(folder|directory|data ?set)\S* (is )?empty|no images",
    "labels-change-each-epoch": r"labels? (change|differ)|(re)?number|inconsistent labels|labels are misaligned",
    "images-change": r"(images?|inputs?|data ?set) (change|drift|modified)|in-?place",
    # loss and logits
    "ce-not-finite": NOT_FINITE,
    "ce-at-chance": f"{NOT_LEARNING}|augmentation",
    "ce-rises": f"{NOT_LEARNING}|diverge",
    "ce-falls-too-slowly": NOT_LEARNING,
    "loss-maximised": r"maximi[sz]|\bsign\b|ascent|loss is negative",
    "softmax-before-ce": r"softmax(?! or normalisation)|sigmoid|already.*probabilit",
    "relu-on-logits": r"relu|non-negative",
    "logits-scaled-to-nothing": r"temperature|(logit|output).*(scale|small|tiny)|vanish",
    "images-are-noise": r"noise|(input|image)\S* .*(random|distribution|range|statistic)",
    "ce-weight-zero": f"multiplied by zero|loss weight|({NO_GRADIENT}).*classifier|classifier.*({NO_GRADIENT})",
    "loss-scaled-to-nothing": r"loss (scale|weight)|gradient\S* .*(small|tiny|vanish)|vanish|ratio is tiny",
    "labels-from-predictions": r"label|target",
    "ce-drowned": r"dominat|drown|loss weight|(another|auxiliary) (loss|term)",
    "class-weights-off": r"class weights?|(loss|gradient)\S* .*(nan|zero)",
    "feature-as-logits": r"feature|embedding|(classifier|head).*(unused|not used|no gradient)",
    "every-label-ignored": r"ignore_index|labels outside|targets is nearly constant|dominant class",
    # from the loss to the weights
    "no-backward": f"no gradients found|{NOT_UPDATED}",
    "head-not-in-optimizer": r"not in the optimizer|passed to the optimizer|are in the optimizer",
    "head-frozen": r"frozen|requires_grad",
    "loss-does-not-reach-head": f"({NO_GRADIENT}).*classifier|classifier.*({NO_GRADIENT})|not connected",
    "loss-does-not-reach-backbone": f"({NO_GRADIENT}).*backbone|backbone.*({NO_GRADIENT})",
    "zero-grad-before-step": f"zero_grad\\S* called after|make sure the order|no gradients found|{NOT_UPDATED}",
    "optimizer-never-steps": f"step\\(\\)` missing|{NOT_UPDATED}|ratio is tiny",
    "skipped-by-gradscaler": f"{NOT_FINITE}|scaler|skipping",
    "clipped-to-nothing": r"exceeds clipping threshold|clip coef|clip.*(too|tiny|nothing)",
    "zero-grad-missing": r"zero_grad\S* (is )?(missing|never|forgotten|not called)|gradients? (pile|add|accumulate)",
    "head-gradient-zero": NO_GRADIENT,
    "backbone-gradient-zero": NO_GRADIENT,
    "accumulates-too-long": r"accumulat",
    # optimizer and schedule
    "head-lr-too-small": LR_TOO_SMALL,
    "head-lr-zero": f"{LR_TOO_SMALL}|did not change after an optimizer step",
    "lr-too-large": r"(learning rate|\blr\b).*too (high|large)|lower the (peak )?learning rate|ratio is high|explod",
    "optimizer-holds-stale-parameters": r"(not|no longer\)) (in the optimizer|parameters of)|passed to the optimizer",
    "optimizer-holds-a-copy": r"(not|no longer\)) (in the optimizer|parameters of)|passed to the optimizer",
    "head-in-two-optimizers": r"(two|second|several) optimizers?",
    "parameter-held-twice": r"(two|second|several) (optimizers?|groups)|twice",
    "optimizer-steps-twice": r"twice|two steps",
    "lr-decays-to-nothing": f"{LR_TOO_SMALL}|schedule(r)? (misconfigured|decays)",
    "schedule-stepped-too-seldom": f"{LR_TOO_SMALL}|schedule(r)? misconfigured|warmup never ends",
    "warm-up-outlasts-window": f"warm-?up|schedul|{LR_TOO_SMALL}",
    "resume-overwrites-lr": f"resum|checkpoint|optimizer state|state_dict|{LR_TOO_SMALL}",
    "weight-decay-eats-head": r"weight decay",
    "step-changes-nothing": f"did not change after an optimizer step|{NOT_UPDATED}",
    "eps-lost-in-fp16": r"\beps\b|fp16|float16|half[ -]precision",
    # model and features
    "classifier-not-fed-by-bnneck": f"({NO_GRADIENT}|did not change).*neck.bn|neck.bn.*({NO_GRADIENT})",
    "feature-norm-off": r"normali[sz](ed|ation) (before|after)|feature.*\bscale",
    "features-collapsed": r"same output|same prediction|collaps|dormant|dead relu",
    "images-mixed-up": r"(image|feature|batch)\S* .*(mix|shuffl|order)|independen|leak",
    "weights-not-loaded": r"checkpoint.*(load|match)|weights.*(not|never) loaded|pretrained",
    "freeze-pattern-matches-nothing": r"match\(es\) no parameter",
    "neck-in-eval": r"(batch ?norm|bn).*(eval|running)|eval mode(?! (differ|return))",
    "model-in-eval": r"(left|still) in eval|not in training mode|model\.train\(\)",
    "dropout-of-one": r"dropout",
    "neck-weight-frozen": r"frozen|requires_grad",
    "resumed-at-chance": r"resum|checkpoint|state_dict|missing key",
    "frozen-as-initialised": r"pre-?trained|random(ly)? initiali|frozen|requires_grad",
}  # fmt: skip


def without_words() -> list[str]:
    """Slugs that a fault of the bench wants and nobody wrote words for: its outcome could not be graded."""
    return sorted({slug for fault in all_faults() for slug in fault.wanted} - set(WORDS))


def grade(heard: dict[str, Any], wanted: Iterable[str]) -> Grade:
    """Of what `peers.hear` gives of one tool. KeyError for a slug of `without_words`."""
    words = re.compile("|".join(WORDS[slug] for slug in wanted), re.IGNORECASE)
    complaints = heard["complaints"]
    if complaints and words.search(complaints[0]["lead"]):
        return "named"
    if any(words.search(f"{c['lead']}\n{c['rest']}") for c in complaints):
        return "listed"
    return "wrong" if any(c["firm"] for c in complaints) else "missed"


def our_grade(outcome: dict[str, Any]) -> Grade:
    """The same of our own verdict on that training."""
    if outcome["named_first"]:
        return "named"
    if outcome["listed"]:
        return "listed"
    return "wrong" if outcome["found"] or outcome["verdict"] == "NO-GO" else "missed"


def alarms(outcome: dict[str, Any], tool: str) -> Literal["firm", "hint", ""]:
    """What a tool says of a healthy training."""
    complaints = outcome["peers"][tool]["complaints"]
    return "firm" if any(c["firm"] for c in complaints) else "hint" if complaints else ""


ATTACHED = {
    "torchtest2": "one call with one batch, before the first step",
    "runmedic": "reads the log of 200 steps",
    "traintools": "three calls in the loop, 200 steps",
}


def peers_markdown(outcomes: list[dict[str, Any]]) -> str:
    """Both tables, of the outcomes that have `peers`: totals, and folded the grade of each fault."""
    heard = [o for o in outcomes if "peers" in o]
    faults = sorted((o for o in heard if o["wanted"]), key=lambda o: (o["wanted"], o["case"], o["setup"], o["seed"]))
    controls = [o for o in heard if not o["wanted"]]
    lines = [
        f"| {len(faults)} faults, {len(controls)} healthy trainings | attaches by | named | listed | wrong cause "
        "| missed | alarms on the healthy | hints there |",
        "|---|---|---|---|---|---|---|---|",
        _row("reid-smoke", "`run`", (our_grade(o) for o in faults), (_our_alarm(o) for o in controls)),
    ]
    for tool in TOOLS:
        grades = (grade(o["peers"][tool], o["wanted"]) for o in faults)
        lines.append(_row(tool, ATTACHED[tool], grades, (alarms(o, tool) for o in controls)))
    lines += [
        "", "<details><summary>Fault by fault</summary>", "",
        f"| the mistake | reid-smoke | {' | '.join(TOOLS)} |", "|---|---|" + "---|" * len(TOOLS),
    ]  # fmt: skip
    several = len({(o["setup"], o["seed"]) for o in heard}) > 1
    for o in faults:
        grades = [our_grade(o), *(grade(o["peers"][tool], o["wanted"]) for tool in TOOLS)]
        where = f" ({o['setup']}, seed {o['seed']})" if several else ""
        lines.append(f"| {o['title']}{where} | {' | '.join(grades)} |")
    return "\n".join([*lines, "", "</details>"])


def peers_report(outcomes: list[dict[str, Any]]) -> str:
    """The totals for the terminal, and every alarm on a healthy training."""
    table = peers_markdown(outcomes).split("\n\n<details>")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "---" not in line]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for o in outcomes:
        for tool, heard in o.get("peers", {}).items():
            if not o["wanted"] and heard["complaints"]:
                first = heard["complaints"][0]["lead"].splitlines()[0]
                lines.append(f"  {tool} on healthy {o['case']} ({o['setup']}, seed {o['seed']}): {first}")
            if "error" in heard:
                why = heard["error"].strip().splitlines()[-1]
                lines.append(f"  {tool} broke off on {o['case']} ({o['setup']}, seed {o['seed']}): {why}")
    return "\n".join(lines)


def _row(name: str, attached: str, grades: Iterable[Grade], on_healthy: Iterable[str]) -> str:
    count, said = Counter(grades), Counter(on_healthy)
    cells = [*(str(count[g]) for g in GRADES), str(said["firm"]), str(said["hint"])]
    return f"| {name} | {attached} | {' | '.join(cells)} |"


def _our_alarm(outcome: dict[str, Any]) -> str:
    return "firm" if outcome["found"] or outcome["verdict"] == "NO-GO" else ""
