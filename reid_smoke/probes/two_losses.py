"""CE and SDM beside each other: their values at every step, and now and then which way each of them pulls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from reid_smoke.build.image_text import ImageTextOutput
from reid_smoke.build.losses import TrainingLoss
from reid_smoke.build.model import BNNeckOutput
from reid_smoke.build.sdm import sdm_loss
from reid_smoke.build.training import Training
from reid_smoke.facts import HandoverFacts, ProbeFault
from reid_smoke.probes.guard import guarded
from reid_smoke.probes.positives import count_positives


@dataclass(frozen=True)
class Pull:
    """Two gradients over the parameters that both losses reach."""

    cosine: float
    norm_ratio: float  # |the second| / |the first|
    shared: int  # parameters


def compare_pulls(first: Tensor, second: Tensor, parameters: Iterable[Tensor]) -> Pull:
    """The gradients of two scalars that share a graph, which stays as it is; nothing is added to any `.grad`.

    Costs two more passes backward, and memory for two more sets of gradients. Products and norms are summed up in
    float64. Cosine and ratio are NaN where either gradient is nothing or not finite, or no parameter is shared.
    """
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = [torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True) for loss in (first, second)]
    shared = [_products(a, b) for a, b in zip(*gradients, strict=True) if a is not None and b is not None]
    if not shared:
        return Pull(math.nan, math.nan, 0)
    of_first, of_second, dot = torch.stack(shared).sum(dim=0).tolist()
    if not (math.isfinite(of_first + of_second + dot) and of_first > 0 and of_second > 0):
        return Pull(math.nan, math.nan, len(shared))
    return Pull(dot / math.sqrt(of_first * of_second), math.sqrt(of_second / of_first), len(shared))


def _products(a: Tensor, b: Tensor) -> Tensor:
    """a a, b b and a b, (3,)."""
    a, b = a.double(), b.double()
    return torch.stack([(a * a).sum(), (b * b).sum(), (a * b).sum()])


class TwoLosses:
    """Looks at each call of a training's loss: `training.loss.register_forward_hook(two_losses)`.

    Figures stay on the device until `take`. `wants_pull`: the next call measures that too, see `compare_pulls`.
    pictures: of the batch that is trained on, (B,) int64, the same number for the same picture; None: not known.
    """

    def __init__(
        self, training: Training, pictures: Callable[[], Tensor | None], tell: Callable[[ProbeFault], None]
    ) -> None:
        self.wants_pull = False
        self._training, self._pictures, self._tell = training, pictures, tell
        self._step = 0
        self._rows: list[Tensor] = []  # of six figures each: see `take`
        self._pull: Pull | None = None
        self.switched_off: set[str] = set()

    def __call__(self, loss: TrainingLoss, given: tuple[BNNeckOutput | ImageTextOutput, Tensor], total: Tensor) -> None:
        output, labels = given
        self._note(loss, output, labels)
        if self.wants_pull and loss.sdm_weight > 0:
            self._measure(loss, output, labels)
        self.wants_pull = False

    @torch.no_grad()
    def _note(self, loss: TrainingLoss, output: BNNeckOutput | ImageTextOutput, labels: Tensor) -> None:
        logits = output.image.logits if isinstance(output, ImageTextOutput) else output.logits  # (B, C)
        ce = F.cross_entropy(logits.float(), labels)
        nothing = ce.new_zeros(())
        sdm, positives = nothing * math.nan, (nothing, nothing, nothing)
        if loss.sdm_weight > 0:
            sdm = sdm_loss(*loss.two_sides(output, labels))
            if isinstance(output, ImageTextOutput):
                positives = count_positives(labels)
            elif (pictures := self._pictures()) is not None:
                views = loss.two_views(pictures.to(labels.device, non_blocking=True))
                positives = count_positives(loss.two_views(labels)[0], views)
        batch = nothing + len(labels)
        self._rows.append(torch.stack([figure.to(torch.float32) for figure in (ce, sdm, batch, *positives)]))

    @guarded
    def _measure(self, loss: TrainingLoss, output: BNNeckOutput | ImageTextOutput, labels: Tensor) -> None:
        ce, sdm = loss.parts(output, labels)
        assert sdm is not None
        scaler = self._training.scaler
        if scaler is not None:  # as high above what fp16 cannot hold as the training's own gradients are
            ce, sdm = scaler.get_scale() * ce, scaler.get_scale() * sdm
        self._pull = compare_pulls(ce, sdm, self._training.model.parameters())

    def take(self, step: int) -> HandoverFacts:
        """What was seen since the last time, up to this step, in one transfer."""
        rows, self._rows = self._rows, []
        pull, self._pull, self._step = self._pull, None, step
        ce, sdm, images, *counts = torch.stack(rows).double().cpu().unbind(dim=1)
        of_sdm, without, one = (int(count.sum()) for count in counts)
        facts = HandoverFacts(
            step=step,
            steps=len(rows),
            weight=self._training.loss.sdm_weight,
            ce=float(ce.mean()),
            sdm=float(sdm.mean()),
            images=int(images.sum()),
            rows=of_sdm,
            rows_without_positive=without,
            rows_with_one_positive=one,
        )
        if pull is None:
            return facts
        return facts.model_copy(update={"cosine": pull.cosine, "norm_ratio": pull.norm_ratio, "shared": pull.shared})

    # --- faults of our own ---

    def fault(self, probe: str, error: BaseException) -> None:
        self.switched_off.add(probe)
        message = f"{type(error).__name__}: {error}"
        self._tell(ProbeFault(step=self._step, probe="gradients of CE and SDM", message=message))
