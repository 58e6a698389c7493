"""The model: what was loaded and frozen, and what the loss's graph says of it."""

from __future__ import annotations

from typing import Literal

from reid_smoke.facts.base import Fact


class WeightsFacts(Fact):
    """A checkpoint that was asked for, and how much of it arrived in the model."""

    kind: Literal["weights"] = "weights"
    path: str
    matched: int
    missing: int  # keys of the model that the file lacks
    unexpected: int  # keys of the file that the model lacks
    wrong_shape: int
    examples: tuple[str, ...] = ()
    by: Literal["config", "script"] = "config"  # script: their own load_state_dict
    given_back: int = 0  # parameters, each of which was the model's own, and there were no others; a file had been read


class FreezeFacts(Fact):
    """A pattern of parameters to freeze, and what it matched."""

    kind: Literal["freeze"] = "freeze"
    pattern: str
    matched: tuple[str, ...]


class FrozenFacts(Fact):
    """Frozen weights of the models that the loss reaches, and how many of them look as an initialisation drew them."""

    kind: Literal["frozen"] = "frozen"
    step: int
    weights: int  # frozen, of two dimensions and more
    fresh: int
    examples: tuple[str, ...] = ()  # name and distribution of the first few
    unheld: int = 0  # weights that ask for a gradient and are in no optimizer, or later on in none that has stepped
    unheld_fresh: int = 0  # those of them that look as they were drawn


class StatisticsFacts(Fact):
    """Batch norms in eval mode whose running statistics are those of a new one: mean 0 and variance 1 throughout."""

    kind: Literal["statistics"] = "statistics"
    step: int
    batch_norms: int  # beside whose layers the loss reaches a parameter
    unmeasured: int  # in eval mode, with statistics of no data
    examples: tuple[str, ...] = ()


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
    asks_at_leaf: bool = False  # it is made of a tensor that nothing made, is no parameter, and asks for a gradient
    neck: str | None = None  # the model's BNNeck (a batch norm as wide as the head), whether or not it feeds the head
    neck_feeds_head: bool | None = None  # None: the model has no BNNeck, or the graph does not tell
    neck_training: bool | None = None  # the neck normalised by the batch's statistics
    margin: bool = False  # the loss takes a margin from the right identity's logit; CE is measured without it
    right_raised: float = 0.0  # what the loss adds to the right identity's logit, and to no other; CE is without it
    unit_lengths: bool | None = None  # feature and class weights have length 1, so that their product is a cosine
    lengths_given_back: bool = False  # a number for each row, class or logit multiplies that product, as in SphereFace
    reached: int  # parameters that the loss reaches
    trainable: int  # parameters with requires_grad in the same models
    backbone_reached: int
    backbone_trainable: int
    sharded: bool = False  # the weights are divided among the ranks, so that none could be looked at
    classifications: int = 1  # of the same loss: two of an image-text model, one of each head of a model of parts
    judged: int = 1  # which of them, as computed, from 1 on
    cut_off: tuple[int, ...] = ()  # which of them, as computed, from 1 on, have no weight behind their feature
    over_batch: bool = False  # the softmax is taken over the samples, not over the classes
    same_logits: int = 1  # classifications that share the judged one's logits: two with mixup
    left_out: tuple[str, ...] = ()  # of such: weights not reached, in an optimizer that holds others which are
    stepped_in_vain: tuple[str, ...] = ()  # of such: weights of optimizers that step, of which the loss reaches nothing
    weights_zero: int | None = None  # identities whose weight in the loss is 0; None: it has no weights for classes
    kl_div_of: tuple[str, ...] = ()  # operations behind what a kl_div was given, where none of them takes a log
    pairs_by_label: bool = False  # the loss compares the batch's features, and picks pairs by who is under one label
    opinions: bool = False  # no classification has labels: all their targets are shares that a model gave
    weights_not_finite: int = 0  # those whose weight is infinite or no number


class HeadRecord(Fact):
    """A head beside the judged one, of as many classes and for as many rows."""

    name: str
    ce: float  # nats, plain; of this batch
    same_labels: float  # share of the rows whose label is the judged head's, 0..1
    reordered: bool = False  # the labels are the judged head's, in another order
    moved: bool = False  # since it was first seen


class HeadsFacts(Fact):
    """Several heads of one loss, beside each other. Written at the walks."""

    kind: Literal["heads"] = "heads"
    step: int
    judged: str | None
    num_classes: int
    ce: float  # nats, of the judged one in this batch
    heads: tuple[HeadRecord, ...]


class OddLossFacts(Fact):
    """A loss that picks labels' values, or weighs them with targets, and not those of a log-softmax."""

    kind: Literal["odd_loss"] = "odd_loss"
    step: int
    fed_by: tuple[str, ...]  # operations behind it, the last in front, down to the classifier where there is one
    loss: Literal["nll_loss", "kl_div"] = "nll_loss"
    raw_log: bool = False  # the log of a layer's outputs, negative ones among them: of no probabilities


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
