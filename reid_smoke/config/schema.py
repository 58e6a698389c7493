"""What a YAML config may say. Each field's description is what editors show and what `reid-smoke schema` prints.

The defaults are the reference recipe: CE only, AdamW, the head at 1e-2, everything else at 1e-5, weight decay 1e-4.
Whatever the user plans instead is said here too, since that plan is what they need judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    WithJsonSchema,
    model_validator,
)

from reid_smoke.checks.ignoring import given_reason, known_code
from reid_smoke.errors import UsageError


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


def _home(path: Path) -> Path:
    try:
        path = path.expanduser()
    except RuntimeError as error:  # ~ of somebody who has no home here
        raise ValueError(f"{str(path)!r} cannot be found: {error}") from None
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in str(path)):  # YAML can spell both, no file name holds them
        raise ValueError(f"{str(path)!r} is no path")
    return path


def _checked(check: Callable[[str], str]) -> Callable[[str], str]:
    def validate(text: str) -> str:
        try:
            return check(text)
        except UsageError as error:
            raise ValueError(str(error)) from None

    return validate


NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Regex = Annotated[str, AfterValidator(_compiles)]
# A YAML has no paths and no tuples: these two take its text and its lists, everything else its exact type.
LocalPath = Annotated[Path, Field(strict=False), AfterValidator(_home)]
Listed = Field(strict=False)
Target = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
Selector = Annotated[str, Field(pattern=r"^(\[(-?\d+|'[^']*'|\"[^\"]*\")\])*$")]
Code = Annotated[str, AfterValidator(_checked(known_code))]
Reason = Annotated[
    str,
    BeforeValidator(lambda text: "" if text is None else text),  # `RS115:` and nothing behind it
    AfterValidator(_checked(given_reason)),
    WithJsonSchema({"type": "string", "pattern": r"\S"}),
]

Source = Literal[
    "market1501", "dukemtmc", "occluded_duke", "msmt17", "cuhk03", "veri776", "vehicleid", "image_folder", "csv",
    "cuhk_pedes", "icfg_pedes", "rstp_reid", "pedestrians", "captioned_pedestrians",
]  # fmt: skip
EMBEDDED = ("pedestrians", "captioned_pedestrians")  # rendered when needed: no data.root
CAPTIONED = ("cuhk_pedes", "icfg_pedes", "rstp_reid", "captioned_pedestrians")
HEAD_PATTERN = r"^bn_neck\.classifier"


class Section(BaseModel):
    """Base of every section. Strict, since `true` is no number of images and `"64"` is text; and finite."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _default(section: Section, key: str) -> Any:
    return type(section).model_fields[key].get_default()


class DataConfig(Section):
    """The training set, how a batch is drawn from it, and what is done to an image."""

    source: Source = "pedestrians"
    """`pedestrians` is embedded, and `captioned_pedestrians` the same with captions; all others are read from root.
    `reid-smoke init DATA_DIR` finds out which it is."""
    root: LocalPath | None = None
    """The data set's folder (of `csv`: or the file), relative to where the command is started. Needed for every source
    that is not embedded."""
    identities: PositiveInt | None = None
    """Embedded pedestrians: how many identities to render (400 by default). Elsewhere: use the first so many."""
    height: PositiveInt = 256
    """Pixels."""
    width: PositiveInt = 128
    """Pixels."""
    batch_size: PositiveInt = 64
    """Images."""
    sampler: Literal["random", "pk"] = "random"
    """`pk` draws batch_size / instances identities, and `instances` images of each."""
    instances: PositiveInt = 4
    """K of PK sampling: images per identity in a batch."""
    augment: list[Literal["flip", "pad_crop", "erase"]] = ["flip", "pad_crop"]
    """Applied in this order, each with the field's usual settings."""
    mean: Annotated[tuple[float, float, float], Listed] = (0.485, 0.456, 0.406)
    """Subtracted from RGB in 0..1; ImageNet's by default."""
    std: Annotated[tuple[Positive, Positive, Positive], Listed] = (0.229, 0.224, 0.225)
    """Divides after the mean is taken off; ImageNet's by default."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Loader processes; 0 decodes in the training process."""

    @model_validator(mode="after")
    def _fits_together(self) -> DataConfig:
        if self.source not in EMBEDDED and self.root is None:
            raise ValueError(f"source {self.source} needs root: the folder that holds the data set")
        if self.sampler == "pk" and self.batch_size % self.instances:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of instances {self.instances}")
        return self


class TextConfig(Section):
    """A small text tower over the captions' words, beside the backbone: image and caption share the classifier."""

    width: Annotated[PositiveInt, Field(multiple_of=4)] = 256
    """Of a word's embedding; the tower is a transformer of two layers with four heads."""


class ModelConfig(Section):
    """A BNNeck over a backbone, or a factory of the user's."""

    backbone: str = "resnet50"
    """A torchvision classification model by name, or one of timm's, `timm:vit_small_patch16_224`, where that is
    installed; a ViT is built for the images' size."""
    last_stride: Literal[1, 2] = 1
    """Stride of a ResNet's last stage; 1 keeps twice the resolution, as ReID models do."""
    feat_norm: Positive | None = 8.0
    """The BN feature is scaled to this L2 norm before the classifier; null leaves it as it comes."""
    num_classes: PositiveInt | None = None
    """Width of the classifier; by default the number of training identities."""
    text: TextConfig | None = None
    """For sets of images with captions; `{}` puts a text tower beside the backbone. CE is then of both, and the image's
    is judged. null looks at the images alone."""
    weights: LocalPath | None = None
    """A local checkpoint of the backbone, or of the whole model, loaded with weights_only=True. Relative to where the
    command is started."""
    freeze: list[Regex] = []
    """Regular expressions; parameters whose name one of them finds are not trained."""
    target: Target | None = None
    """A model of your own, `package.module:factory`, in place of backbone. It is called with kwargs; an argument called
    num_classes, class_num or the like is filled in. `reid-smoke inspect` shows how it is understood."""
    kwargs: dict[str, Any] = {}
    """Arguments of target."""
    cwd: LocalPath | None = None
    """The folder that target is imported from; by default the one where the command is started."""
    call: Literal["images", "images, labels", "images, labels, cam, view", "batch"] = "images"
    """What target's model is called with in training. `batch`: one dict of images, pids, targets, labels, camids, and
    of sets with captions caption_ids."""
    logits: Selector | None = None
    """Where in the output the logits are, `[0]` or `['logits']`; by default the first tensor as wide as there are
    identities. A dict of losses has none: its losses are added up."""
    head: Regex | None = None
    """Finds the classifier's weight by name; by default the layer that made the logits."""
    bn_feature: Selector | None = None
    """Where in the output the classifier's input is; by default found, where the model gives it out."""

    @model_validator(mode="after")
    def _belongs_to_target(self) -> ModelConfig:
        if self.target is not None and self.text is not None:
            raise ValueError("text is a tower beside backbone: a target, a model of your own, brings its own")
        if self.target is None:
            own = {"kwargs", "cwd", "call", "logits", "head", "bn_feature"} & {
                key for key in self.model_fields_set if getattr(self, key) != _default(self, key)
            }
            if own:
                raise ValueError(f"{', '.join(sorted(own))}: only together with target, a model of your own")
        return self


class LossConfig(Section):
    """What is minimised. CE is always judged plain, with smoothing and weights taken out."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread over all identities; the field's usual value is 0.1."""
    sdm_weight: NonNegative = 0.0
    """Weight of SDM between two views of each identity, or between image and caption where there is model.text; 0 does
    not compute it at all."""
    target: Target | None = None
    """A loss of your own, `package.module:factory`, in CE's place: a module that is called as `call` says and gives a
    scalar, or logits that CE is taken of. It is called with kwargs; arguments called num_classes, in_features or the
    like are filled in. Its parameters are the head's."""
    kwargs: dict[str, Any] = {}
    """Arguments of target."""
    cwd: LocalPath | None = None
    """The folder that target is imported from; by default the one where the command is started."""
    call: Literal["features, labels", "features", "logits, labels"] = "features, labels"
    """What target's module is called with. Given features, it holds the classifier, as ArcFace's and CosFace's do, and
    the model has none; given logits, the model has it."""

    @property
    def holds_head(self) -> bool:
        """The classifier lives in the loss."""
        return self.target is not None and self.call != "logits, labels"

    @model_validator(mode="after")
    def _belongs_to_target(self) -> LossConfig:
        own = [key for key in ("kwargs", "cwd", "call") if getattr(self, key) != _default(self, key)]
        if self.target is None and own:
            raise ValueError(f"{', '.join(own)}: only together with target, a loss of your own")
        return self


class GroupConfig(Section):
    """Parameters with an lr of their own."""

    match: Regex
    """Regular expression, searched in the parameter's name. The first group that matches takes it."""
    lr: NonNegative
    """Learning rate, before the schedule."""
    weight_decay: NonNegative | None = None
    """By default the optimizer's."""


class OptimizerConfig(Section):
    """What updates which parameters, and how fast."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """The optimizer's class in torch.optim."""
    lr: NonNegative | None = 1e-5
    """For parameters that no group matches; null leaves those out of the optimizer."""
    weight_decay: NonNegative = 1e-4
    """For every group that does not give its own."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """SGD only."""
    eps: Positive = 1e-8
    """Adam and AdamW only."""
    groups: list[GroupConfig] = [GroupConfig(match=HEAD_PATTERN, lr=1e-2)]
    """By default one, the head at 1e-2. A list given here replaces it."""


class ScheduleConfig(Section):
    """How the learning rates change while training; it multiplies each group's lr by the same factor."""

    name: Literal["constant", "warmup", "cosine", "multistep"] = "constant"
    """`warmup` rises linearly from `warmup_factor` to 1; `cosine` and `multistep` may warm up first, too."""
    per: Literal["step", "epoch"] = "step"
    """When the scheduler is stepped; all lengths below are counted in it."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Length of the warm-up."""
    warmup_factor: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Share of the lr that the warm-up begins with."""
    length: PositiveInt | None = None
    """cosine: until lr reaches 0. By default 120 epochs."""
    milestones: list[PositiveInt] = [40, 70]
    """multistep: where lr is multiplied by gamma."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """multistep: the factor at each milestone."""


class ClipConfig(Section):
    """Gradient clipping, by norm or by value."""

    norm: Positive | None = None
    """The most that the norm over all gradients may be (clip_grad_norm_)."""
    value: Positive | None = None
    """The most that any gradient's element may be (clip_grad_value_)."""

    @model_validator(mode="after")
    def _one_of_two(self) -> ClipConfig:
        if (self.norm is None) == (self.value is None):
            raise ValueError("give either norm or value")
        return self


class TrainConfig(Section):
    """The loop."""

    amp: Literal["off", "bf16", "fp16"] = "off"
    """Mixed precision; fp16 brings a GradScaler along."""
    accumulate: PositiveInt = 1
    """Batches per optimizer step."""
    clip: ClipConfig | None = None
    """null does not clip."""
    steps: PositiveInt | None = None
    """Batches at most; by default the end of the window, and of a window that was moved."""


class RuleConfig(Section):
    """When a run is judged, and against what."""

    window: Annotated[tuple[PositiveInt, PositiveInt], Listed] = (200, 300)
    """First and last step over which CE is averaged."""
    max_ce: Positive | None = None
    """The bar in nats; by default log C - 0.39, that is 5.6 for 400 identities."""

    @model_validator(mode="after")
    def _in_order(self) -> RuleConfig:
        if self.window[0] >= self.window[1]:
            raise ValueError(f"window {list(self.window)} must rise: its first step comes before its last")
        return self


class ChecksConfig(Section):
    """What is made of what the checks find."""

    ignore: dict[Code, Reason] = {}
    """Code of a check and the reason why what it finds may stand. Its finding is shown as ignored, with the reason, and
    makes no NO-GO. A CE that does not fall remains one."""


class HandoverConfig(Section):
    """How `run --continue` goes on after a GO: with SDM, whose weight is raised in steps."""

    weights: Annotated[list[Positive], Field(min_length=1)] = [0.1, 0.3, 0.5]
    """Weights of SDM, rising."""
    steps: PositiveInt | None = None
    """Batches at each weight; by default the rest of the epoch in equal parts, at least 30 each."""

    @model_validator(mode="after")
    def _rise(self) -> HandoverConfig:
        if any(later <= earlier for earlier, later in pairwise(self.weights)):
            raise ValueError(f"weights {self.weights} must rise: each is tried once the one before it was safe")
        return self


class RetrievalConfig(Section):
    """How well people are found by the model's features, before and after the run, beside colour and chance.

    Of the data set's query and gallery, where it has them; else of each test or training image among the others.
    """

    images: Annotated[int, Field(ge=8)] = 2000
    """Images at most; where there are more, whole identities are drawn."""


class Config(Section):
    """A run of reid-smoke."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")] = "run"
    """Names the run's folder."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the model's initial weights, the sampler and the augmentation."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes the first GPU, or the CPU where there is none."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig = TrainConfig()
    rule: RuleConfig = RuleConfig()
    checks: ChecksConfig = ChecksConfig()
    handover: HandoverConfig = HandoverConfig()
    retrieval: RetrievalConfig | None = None
    """null does not measure it; `{}` does. It takes two passes over so many images, and no part in the verdict."""

    @model_validator(mode="after")
    def _fits_together(self) -> Config:
        if self.train.steps is not None and self.rule.window[1] > self.train.steps:
            window, steps = list(self.rule.window), self.train.steps
            raise ValueError(f"rule.window {window} ends after the run's last step: train.steps is {steps}")
        if self.model.text is not None and self.data.source not in CAPTIONED:
            raise ValueError(
                f"model.text reads captions, and data.source {self.data.source} has none: {', '.join(CAPTIONED)} have"
            )
        if self.loss.target is not None and self.model.text is not None:
            raise ValueError("loss.target is of images alone: leave model.text out, or loss.target")
        taken = [key for key in ("logits", "head") if getattr(self.model, key) is not None]
        if self.loss.holds_head and taken:
            raise ValueError(
                f"model.{taken[0]}: with loss.target the classifier lives in the loss; loss.call: 'logits, labels' is "
                "for a model that keeps its own"
            )
        if self.loss.sdm_weight > 0 and self.data.sampler != "pk" and self.model.text is None:
            raise ValueError("loss.sdm_weight needs data.sampler: pk, since SDM compares two views of each identity")
        return self

    def to_plain(self) -> dict[str, Any]:
        """As plain lists, dicts and numbers, ready for YAML."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return plain
