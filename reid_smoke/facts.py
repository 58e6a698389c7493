"""The facts of a training: frozen records, JSON both ways, no torch.

Probes write them, checks and reports read them; nothing else passes between the two sides. A fact states what
was seen and never what it means. One line of `facts.jsonl` is one fact, so that a killed run can still be judged.

Not-a-number and infinity are facts too (a CE of NaN is what the user came for); JSON has no word for them, so
they travel as the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

from math import nan
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

SCHEMA_VERSION = 1

Role: TypeAlias = Literal["head", "neck", "backbone", "beside"]


class Fact(BaseModel):
    """Base of every record."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")


class RunFacts(Fact):
    """What was started, and the plan it is judged by. The first line of every ledger."""

    kind: Literal["run"] = "run"
    schema_version: int = SCHEMA_VERSION
    way_in: Literal["run", "overfit", "watch", "triage"]
    name: str
    command: str = ""
    config: str = ""  # path of the YAML, as it was given; "": none
    started: str = ""  # ISO 8601, UTC
    window: tuple[int, int] = (200, 300)  # steps, both ends included
    planned_steps: int | None = None
    steps_per_epoch: int | None = None
    max_ce: float | None = None  # nats; None: log C - 0.39
    feat_norm: float | None = None  # the norm that the BN feature is scaled to by plan; None: not scaled, or not known
    head: str | None = None  # name of the head's weight, where the plan knows it
    ranks: int = 1  # processes that train together; all other facts but those of ranks are the first one's
    ignored: dict[str, str] = {}  # code of a check -> why what it finds may stand
    environment: dict[str, str] = {}


class BaselineFacts(Fact):
    """A former report, whose findings are known; see baseline.py for what that means."""

    kind: Literal["baseline"] = "baseline"
    file: str  # as it was given, with forward slashes
    findings: dict[str, Literal["fatal", "fail", "warn"]]  # code -> severity


class DatasetFacts(Fact):
    """The whole training set, scanned before step 1."""

    kind: Literal["dataset"] = "dataset"
    source: str  # where it came from, for people: a folder or "embedded pedestrians"
    images: int
    identities: int  # distinct training labels
    cameras: int
    num_classes: int  # what the head was built for
    label_min: int
    label_max: int
    labels_out_of_range: int  # images whose label is outside 0..num_classes-1
    example_out_of_range: str = ""  # one such image and its label
    images_per_identity: tuple[int, int, int]  # fewest, median, most
    junk_dropped: int = 0  # images of pid -1
    identities_of_one_image: int = 0
    instances: int | None = None  # images that PK sampling draws of each identity; None: another sampler
    unreadable: int = 0
    unreadable_examples: tuple[str, ...] = ()
    empty_folders: tuple[str, ...] = ()  # with nothing in them, beside those of identities


class UnreadableFacts(Fact):
    """An image that could not be decoded while training; written once per file."""

    kind: Literal["unreadable"] = "unreadable"
    path: str
    reason: str


class LoaderFacts(Fact):
    """What the training loader promises, and what it gave: one record when it is first seen, one per finished epoch."""

    kind: Literal["loader"] = "loader"
    epoch: int
    batches_promised: int | None  # len(loader); None: it has no length
    batches_given: int
    finished: bool
    images: int | None = None  # len(dataset); None: it has no length
    parts: tuple[int, ...] = ()  # len of each data set that it is put together from


class WeightsFacts(Fact):
    """A checkpoint that was asked for, and how much of it arrived in the model."""

    kind: Literal["weights"] = "weights"
    path: str
    matched: int
    missing: int  # keys of the model that the file lacks
    unexpected: int  # keys of the file that the model lacks
    wrong_shape: int
    examples: tuple[str, ...] = ()
    by: Literal["config", "script"] = "config"  # script: their own load_state_dict(strict=False)


class FreezeFacts(Fact):
    """A pattern of parameters to freeze, and what it matched."""

    kind: Literal["freeze"] = "freeze"
    pattern: str
    matched: tuple[str, ...]


class ParameterRecord(Fact):
    """One parameter, as the loss's graph and the optimizers see it."""

    name: str
    shape: tuple[int, ...]
    role: Role
    requires_grad: bool
    group: int | None = None  # index over the groups of all optimizers; None: in none
    lr: float | None = None
    lr_initial: float | None = None  # as a scheduler found it; None: no scheduler
    weight_decay: float | None = None
    reached: bool = False  # the loss's autograd graph ends in it
    dtype: str = ""  # float32, float16, ...; "" in ledgers of before it was recorded
    eps: float | None = None  # of its group, for optimizers that have one
    maximize: bool = False  # its group climbs the gradient instead of descending it


class ParameterFacts(Fact):
    """Every live parameter at a step. Written at the first steps and when something about them changed."""

    kind: Literal["parameters"] = "parameters"
    step: int
    optimizer: str  # class name(s); "" where no optimizer has been seen yet
    parameters: tuple[ParameterRecord, ...]
    orphans: int = 0  # parameters in an optimizer that no live model holds
    orphan_shapes: tuple[tuple[int, ...], ...] = ()  # the first few of them
    optimizer_holds_head: bool | None = None  # None: no optimizer seen yet


class SharedFacts(Fact):
    """Parameters that were stepped more than once for one gradient. Written once it has happened at a few steps."""

    kind: Literal["shared"] = "shared"
    step: int
    count: int  # such parameters
    names: tuple[str, ...]  # the first few of them
    by: tuple[str, ...]  # where the first of them is held: class of the optimizer, once for each place
    lrs: tuple[float | None, ...] = ()  # in each of these places


class ScheduleRecord(Fact):
    """One schedule of the head's learning rate. Lengths are in its own steps, None where its settings do not tell."""

    name: str  # its class
    position: int  # where on its way it is
    calls: int  # how far it went since it was first seen
    length: int | None = None
    warm_up: int | None = None  # over which it rises


class ScheduleFacts(Fact):
    """The schedules of the optimizer that holds the head. Written at the walks, after each epoch and at the end."""

    kind: Literal["schedule"] = "schedule"
    step: int
    updates: int  # optimizer steps so far
    epochs: int  # that were over, and the first steps of the next one done
    lr: float | None  # of the head's group
    lr_set: float | None  # the one that the schedules are to reach
    schedules: tuple[ScheduleRecord, ...]


class ResumeFacts(Fact):
    """An optimizer's state came from an earlier run. Written at the first step, when the head is known."""

    kind: Literal["resume"] = "resume"
    step: int
    where: str  # file and line of the call
    optimizer: str  # class name
    updates: int | None  # that its state had seen; None: it does not count them, as SGD with momentum
    head_loaded: bool | None  # a load_state_dict brought the head's weight; None: no head known
    lr_before: float | None = None  # of the head's group, as the script had built it
    lr_after: float | None = None  # at the first step


class FrozenFacts(Fact):
    """Frozen weights of the models that the loss reaches, and how many of them look as an initialisation drew them."""

    kind: Literal["frozen"] = "frozen"
    step: int
    weights: int  # frozen, of two dimensions and more
    fresh: int
    examples: tuple[str, ...] = ()  # name and distribution of the first few


class GraphFacts(Fact):
    """What the autograd graph behind the loss says of the way from the feature to the loss."""

    kind: Literal["graph"] = "graph"
    step: int
    num_classes: int  # width of the logits
    head: str | None  # name of the head's weight; None: the logits come from no parameter
    other_heads: tuple[str, ...] = ()  # weights that make other logits of the same loss
    head_trainable: bool  # the head's weight asks for a gradient
    logit_path: tuple[str, ...]  # autograd nodes between the log-softmax and the classifier's product
    logit_scale: float | None = None  # the plain numbers among them, multiplied
    feature_path: tuple[str, ...]  # nodes from the classifier's product down to the norm that feeds it, or to the end
    fed_by: Literal["batch_norm", "layer_norm", "other", "detached", "unknown"]
    neck: str | None = None  # the model's BNNeck (a batch norm as wide as the head), whether or not it feeds the head
    neck_feeds_head: bool | None = None  # None: the model has no BNNeck, or the graph does not tell
    neck_training: bool | None = None  # the neck normalised by the batch's statistics
    margin: bool = False  # the loss takes a margin from the right identity's logit; CE is measured without it
    unit_lengths: bool | None = None  # feature and class weights have length 1, so that their product is a cosine
    reached: int  # parameters that the loss reaches
    trainable: int  # parameters with requires_grad in the same models
    backbone_reached: int
    backbone_trainable: int
    sharded: bool = False  # the weights are divided among the ranks, so that none could be looked at
    classifications: int = 1  # of the same loss: two of an image-text model, one of each head of a model of parts
    cut_off: tuple[int, ...] = ()  # which of them, as computed, from 1 on, have no weight behind their feature
    over_batch: bool = False  # the softmax is taken over the samples, not over the classes
    same_logits: int = 1  # classifications that share the judged one's logits: two with mixup
    left_out: tuple[str, ...] = ()  # of such: weights not reached, in an optimizer that holds others which are
    weights_zero: int | None = None  # identities whose weight in the loss is 0; None: it has no weights for classes
    weights_not_finite: int = 0  # those whose weight is infinite or no number


class ModeFacts(Fact):
    """Modules in eval mode while training."""

    kind: Literal["modes"] = "modes"
    step: int
    modules: int
    in_eval: tuple[str, ...]  # names of batch norms and dropouts in eval mode
    batch_norms: int
    batch_norms_in_eval: int
    root_in_eval: bool | None = None  # the whole model's own flag, not that of what merely holds it
    drop_everything: tuple[str, ...] = ()  # dropouts in training mode with p = 1
    drop_most: tuple[tuple[str, float], ...] = ()  # those with p of 0.9 and more, under 1: name, p
    batch_norms_synced: int = 0  # that take their statistics over all ranks


class StepFacts(Fact):
    """One batch that went through the loss's backward. Norms are L2; NaN stands where nothing was to be measured."""

    kind: Literal["step"] = "step"
    step: int  # global, from 1
    epoch: int = 1
    step_in_epoch: int
    ce: float  # nats, plain: smoothing, margins and weights taken out
    loss: float  # the scalar that backward was called on, AMP's scale taken out
    top1: float  # 0..1
    batch: int
    label_min: int
    label_max: int
    distinct_labels: int
    logit_std: float  # over the classes, mean over the batch
    feat_norm: float  # of the classifier's input, mean over the batch
    feat_cosine: float  # mean cosine between the classifier's inputs of two samples
    channels_alive: float  # share of the neck's channels that vary within the batch; NaN without a neck
    head_norm: float
    head_update: float  # |dw| / |w| of this step
    head_moved: float  # |w - w at the start| / |w at the start|
    head_grad_before: float  # already there when backward began; 0 after zero_grad
    head_grad: float  # before clipping, AMP's scale taken out
    head_grad_applied: float  # as the optimizer found it
    backbone_grad: float  # over a few sentinel parameters
    backbone_grad_applied: float
    backbone_update: float
    lr_head: float | None  # as applied; None: the head is in no optimizer
    lr_backbone: float | None
    grad_norm_total: float = float("nan")  # as clip_grad_norm_ saw it
    clip_at: float | None = None
    amp_scale: float | None = None
    applied: bool  # the optimizer stepped
    events: str  # what happened since the last batch, in order: see EVENTS
    label_checksum: float = float("nan")  # the same for the same labels in any order
    ce_weight: float = float("nan")  # what the loss multiplies CE with; NaN: there is more between the two than factors
    ce_share: float = float("nan")  # |gradient of CE| / |of the whole loss|, at the feature; measured at few steps
    head_overwritten: float = float("nan")  # as head_update, rows at unit length: by others than optimizers, before it
    head_grad_cosine: float = float("nan")  # with CE's own gradient at the head, as the optimizer found it
    head_update_cosine: float = float("nan")  # with the same: below 0 where CE falls; both at the first updates only
    turned_by: str = ""  # a function of the user's own behind the head that passed on minus the gradient; at few steps
    head_steps: int | None = None  # how often an optimizer stepped the head for this batch
    head_optimizers: int | None = None  # by how many different ones
    data_s: float  # seconds spent waiting for the batch
    compute_s: float  # seconds from the batch's arrival to the next request


EVENTS = {
    "b": "backward through a classification loss",
    "x": "backward through something else",
    "z": "zero_grad",
    "u": "GradScaler unscaled",
    "c": "gradients clipped",
    "s": "optimizer stepped",
    "k": "GradScaler skipped the step",
}


class LabelFacts(Fact):
    """How often each label came up so far. Written at each hundredth step, after each epoch and at the end."""

    kind: Literal["labels"] = "labels"
    step: int
    num_classes: int  # width of the logits
    images: int  # that counted in the loss so far
    seen: int  # labels that came up
    draws: int  # of a label by a batch: P a batch with PK sampling
    unseen_examples: tuple[int, ...] = ()  # the smallest labels that never did
    most_frequent: int  # label
    most_frequent_images: int
    histogram: tuple[tuple[int, int], ...] = ()  # (times, how many labels came up so often), rising


class ImageFacts(Fact):
    """The images of one batch as the first convolution was given them. Measured at few steps."""

    kind: Literal["images"] = "images"
    step: int
    shape: tuple[int, ...]  # (B, C, H, W)
    smallest: float
    largest: float
    mean: float
    std: float  # over the pixels of an image, mean over the batch
    finite: float  # share of the pixels that are numbers
    constant: float  # share of the images whose channels are one value all over
    twins: int  # images of which the batch holds another with the very same pixels
    twins_of_another_label: int  # and under another label
    checksum: float  # the same for the same images in any order


class LikenessFacts(Fact):
    """How much more alike images of one identity are than those of two, by their colours alone."""

    kind: Literal["likeness"] = "likeness"
    step: int
    images: int  # the first ones of the training
    pairs: int  # of two images under one label
    auc: float  # probability that such a pair is closer than a pair under two labels; 0.5: no more alike


class LoopFacts(Fact):
    """Counts over the whole training so far."""

    kind: Literal["loop"] = "loop"
    step: int
    backwards: int  # through a classification loss
    other_backwards: int
    optimizer_steps: int
    skipped_by_scaler: int
    zero_grads: int
    heads: int = 0  # of one name and shape that took each other's place
    head_optimizers: int = 0  # different ones that stepped the head
    leaf_backwards: int = 0  # on a tensor that nothing made: there is nothing to go back through


class OddLossFacts(Fact):
    """A loss that picks labels' values, and not from a log-softmax."""

    kind: Literal["odd_loss"] = "odd_loss"
    step: int
    fed_by: tuple[str, ...]  # operations behind it, the last in front, down to the classifier where there is one


class CrashFacts(Fact):
    """The training raised."""

    kind: Literal["crash"] = "crash"
    step: int
    exception: str
    message: str
    where: str  # file:line of the innermost frame of the user's
    bad_labels: tuple[int, ...] = ()  # labels outside 0..C-1 in the batch that crashed; on a GPU the least and largest
    num_classes: int | None = None
    only_label: int | None = None  # that every image of the batch carries, where a reduction over nothing raised
    rank: int = 0  # where it was raised


class OutOfMemoryFacts(Fact):
    """A step asked for more memory than there was. One for each time; what `run` did then is in `then`."""

    kind: Literal["out_of_memory"] = "out_of_memory"
    step: int  # whole ones before it
    batch: int | None  # images; None: not known
    device: str = ""  # torch's name of it; "": not known
    peak: int | None = None  # bytes that the training held at most; None: not counted, as on a CPU
    total: int | None = None  # bytes that the device has
    elsewhere: int | None = None  # of them, that other processes and the driver hold
    then: tuple[str, ...] = ()  # as `--set` takes it: with what the training was begun anew; empty: it ended there
    rank: int = 0  # where it was


class RankStartFacts(Fact):
    """A rank other than the first came up. The first line of its own file."""

    kind: Literal["rank_start"] = "rank_start"
    rank: int
    ranks: int  # of them all
    host: str = ""
    pid: int = 0
    started: float = 0.0  # seconds since 1970


class RankFacts(Fact):
    """One step of a rank other than the first, condensed from its own StepFacts.

    Written for its first steps, for every tenth, and for those at which something is new: another batch size, another
    epoch, a CE that is no number. Sums count from the training's start.
    """

    kind: Literal["rank"] = "rank"
    rank: int
    step: int
    step_in_epoch: int = 0
    batch: int
    label_checksum: float
    distinct_labels: int
    ce: float
    head_norm: float
    head_grad: float  # as the optimizer found it
    backbone_grad: float
    lr_head: float | None = None
    lr_backbone: float | None = None
    applied: bool = True
    updates: int = 0  # steps so far at which its optimizer stepped
    images: int = 0  # so far
    data_s: float = 0.0  # waited for batches so far
    compute_s: float = 0.0
    batches_promised: int | None = None  # len(loader)


class RankEndFacts(Fact):
    """How a rank other than the first ended, or what was last heard of it."""

    kind: Literal["rank_end"] = "rank_end"
    rank: int
    step: int
    how: Literal["finished", "stopped", "interrupted", "crashed", "killed", "running", "unheard"]
    # killed: its process is gone, and it wrote no end. running: not ended when the first rank did.
    # unheard: none of its facts could be read here.


class StartupFacts(Fact):
    """Where the seconds before the first step went, phase by phase, in order."""

    kind: Literal["startup"] = "startup"
    phases: dict[str, float]  # name for people -> seconds


class ExecutionFacts(Fact):
    """How a GPU was asked for the steps of `run`, and what memory they took."""

    kind: Literal["execution"] = "execution"
    captured: bool  # each step as one CUDA graph
    reason: str = ""  # why not
    peak: int | None = None  # bytes that the training held at most
    total: int | None = None  # bytes that the device has


class TrialFacts(Fact):
    """A short re-run from the same start on the same batches with one thing changed, or with nothing changed."""

    kind: Literal["trial"] = "trial"
    name: str  # what was changed, for people
    settings: tuple[str, ...] = ()  # the change as it would be written down, `key=value`; empty: nothing, or no config
    swaps: tuple[Literal["model", "data", "optimizer"], ...] = ()  # whole parts that the reference's took the place of
    together: int = 1  # how many changes were made at once; 0: none, the training as it is
    changes: tuple[str, ...] = ()  # slugs of the trials that were put together
    batches: Literal["few", "stream"]  # the same few over and over, or those of the training one after another
    distinct_batches: int
    num_classes: int
    # Nats: CE of somebody who knows nothing but how often each label comes in the few batches. None: not known.
    guessing_ce: float | None = None
    ce: tuple[float, ...] = ()  # plain, nats, of each step
    error: str = ""  # what it crashed with
    seconds: float = 0.0
    # Of images that it was not trained on, whose identity it was: the mean share of the other identities' logits that
    # the right one's is above; 0.5 is guessing. None: not measured.
    unseen_rank: float | None = None
    unseen: int = 0  # over how many images


class TriageFacts(Fact):
    """How the trials ended. Written after the last of them."""

    kind: Literal["triage"] = "triage"
    budget_s: float
    seconds: float
    ended: Literal["not needed", "proven", "exhausted", "out of budget", "interrupted", "impossible"]
    untried: tuple[str, ...] = ()  # names of the trials that the budget left out
    replayed: bool = False  # on what was kept of a watched training, in the reference loop
    ce_word: str = ""  # what CE did in the training itself, as in rule.Curve; empty: not known
    first_cause: str = ""  # code of the finding that explains the others
    why_not: str = ""  # why nothing could be tried


class RetrievedFacts(Fact):
    """How well images of the same identity are found."""

    mean_ap: float  # 0..1
    rank1: float  # 0..1
    by_caption: RetrievedFacts | None = None  # the same images, sought by what is said of them


class RetrievalFacts(Fact):
    """Images sought among others, by colour and by the model's features. Written once, after the training."""

    kind: Literal["retrieval"] = "retrieval"
    on: str  # which images, for people
    trained_on: bool = False  # they are those that were trained on
    identities: int
    queries: int  # that have something to be found
    gallery: int
    captions: int = 0  # of the gallery's images, by which they are sought as well
    drawn: bool = False  # some of the identities were drawn, since there are more images than were asked for
    cameras_apart: bool = True  # images of the query's identity and camera are left out; else only the query itself
    chance: RetrievedFacts
    colour: RetrievedFacts  # histograms of colours in stripes
    before: RetrievedFacts | None = None  # by the model's features, before training; None: not measured
    after: RetrievedFacts | None = None


class HandoverPlanFacts(Fact):
    """After a GO the training went on with SDM, and this is how. Its steps are no StepFacts: the verdict stands."""

    kind: Literal["handover_plan"] = "handover_plan"
    step: int  # the last one of the warm-up
    weights: tuple[float, ...]  # of SDM, rising
    ends: tuple[int, ...]  # the last step at each weight
    limit: float  # nats: CE over it holds the weight
    sides: str = ""  # what SDM compares, for people


class HandoverFacts(Fact):
    """Some steps in a row at one weight of SDM, ten mostly; of several ranks the first one's. Figures are means."""

    kind: Literal["handover"] = "handover"
    step: int  # the last of them
    steps: int
    weight: float
    ce: float  # nats, plain, of the head that is judged
    sdm: float  # nats, without its weight
    images: int  # that were trained on
    rows: int = 0  # of SDM's two softmaxes, over all the steps
    rows_without_positive: int = 0  # of them: nothing of their identity on the other side but the same picture
    rows_with_one_positive: int = 0
    cosine: float = nan  # between SDM's and CE's gradient, measured at one of the steps; NaN: at none
    norm_ratio: float = nan  # |gradient of SDM| / |gradient of CE|, without the weight
    shared: int = 0  # parameters that both losses reach, over which the two were taken


class HandoverEndFacts(Fact):
    """How a hand-over ended."""

    kind: Literal["handover_end"] = "handover_end"
    step: int
    how: Literal["finished", "not finite", "interrupted", "crashed"]
    seconds: float = nan


class ProbeFault(Fact):
    """One of our own probes failed; the training went on without it."""

    kind: Literal["probe_fault"] = "probe_fault"
    step: int
    probe: str
    message: str


class EndFacts(Fact):
    """How it ended. A ledger without this line was killed."""

    kind: Literal["end"] = "end"
    step: int
    how: Literal["finished", "stopped", "interrupted", "crashed"]
    startup_s: float
    train_s: float
    images_per_s: float
    data_wait_share: float

    @classmethod
    def unmeasured(cls, step: int, how: Literal["finished", "stopped", "interrupted", "crashed"]) -> EndFacts:
        """Of a training whose clocks cannot be read any more."""
        return cls(step=step, how=how, startup_s=nan, train_s=nan, images_per_s=nan, data_wait_share=nan)


AnyFact: TypeAlias = Annotated[
    RunFacts
    | BaselineFacts
    | DatasetFacts
    | UnreadableFacts
    | LoaderFacts
    | WeightsFacts
    | FreezeFacts
    | ParameterFacts
    | SharedFacts
    | FrozenFacts
    | ResumeFacts
    | ScheduleFacts
    | GraphFacts
    | ModeFacts
    | StepFacts
    | LabelFacts
    | ImageFacts
    | LikenessFacts
    | LoopFacts
    | OddLossFacts
    | CrashFacts
    | OutOfMemoryFacts
    | StartupFacts
    | ExecutionFacts
    | RankStartFacts
    | RankFacts
    | RankEndFacts
    | TrialFacts
    | TriageFacts
    | RetrievalFacts
    | HandoverPlanFacts
    | HandoverFacts
    | HandoverEndFacts
    | ProbeFault
    | EndFacts,
    Field(discriminator="kind"),
]

_adapter: TypeAdapter[AnyFact] = TypeAdapter(AnyFact)


def fact_from_json(line: str | bytes) -> AnyFact:
    """One line of facts.jsonl as its record. Raises pydantic.ValidationError."""
    return _adapter.validate_json(line)
