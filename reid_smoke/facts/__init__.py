"""The facts of a training: frozen records, JSON both ways, no torch.

Probes write them, checks and reports read them; nothing else passes between the two sides. A fact states what
was seen and never what it means. One line of `facts.jsonl` is one fact, so that a killed run can still be judged.

Not-a-number and infinity are facts too (a CE of NaN is what the user came for); JSON has no word for them, so
they travel as the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, TypeAdapter

from reid_smoke.facts.after_go import HandoverEndFacts, HandoverFacts, HandoverPlanFacts, RetrievalFacts, RetrievedFacts
from reid_smoke.facts.base import SCHEMA_VERSION, Fact, Role
from reid_smoke.facts.data import DatasetFacts, ImageFacts, LabelFacts, LikenessFacts, LoaderFacts, UnreadableFacts
from reid_smoke.facts.model import (
    FreezeFacts,
    FrozenFacts,
    GraphFacts,
    HeadRecord,
    HeadsFacts,
    ModeFacts,
    OddLossFacts,
    StatisticsFacts,
    WeightsFacts,
)
from reid_smoke.facts.optimizer import (
    ParameterFacts,
    ParameterRecord,
    ResumeFacts,
    ScheduleFacts,
    ScheduleRecord,
    SharedFacts,
)
from reid_smoke.facts.ranks import GroupFacts, RankEndFacts, RankFacts, RankStartFacts, StartedFacts
from reid_smoke.facts.run import (
    BaselineFacts,
    CrashFacts,
    EndFacts,
    ExecutionFacts,
    OutOfMemoryFacts,
    ProbeFault,
    RunFacts,
    StartupFacts,
)
from reid_smoke.facts.steps import EVENTS, AnewFacts, LoopFacts, StepFacts
from reid_smoke.facts.trials import TriageFacts, TrialFacts

__all__ = [
    "EVENTS",
    "SCHEMA_VERSION",
    "AnewFacts",
    "AnyFact",
    "BaselineFacts",
    "CrashFacts",
    "DatasetFacts",
    "EndFacts",
    "ExecutionFacts",
    "Fact",
    "FreezeFacts",
    "FrozenFacts",
    "GraphFacts",
    "GroupFacts",
    "HandoverEndFacts",
    "HandoverFacts",
    "HandoverPlanFacts",
    "HeadRecord",
    "HeadsFacts",
    "ImageFacts",
    "LabelFacts",
    "LikenessFacts",
    "LoaderFacts",
    "LoopFacts",
    "ModeFacts",
    "OddLossFacts",
    "OutOfMemoryFacts",
    "ParameterFacts",
    "ParameterRecord",
    "ProbeFault",
    "RankEndFacts",
    "RankFacts",
    "RankStartFacts",
    "ResumeFacts",
    "RetrievalFacts",
    "RetrievedFacts",
    "Role",
    "RunFacts",
    "ScheduleFacts",
    "ScheduleRecord",
    "SharedFacts",
    "StartedFacts",
    "StartupFacts",
    "StatisticsFacts",
    "StepFacts",
    "TriageFacts",
    "TrialFacts",
    "UnreadableFacts",
    "WeightsFacts",
    "fact_from_json",
]

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
    | HeadsFacts
    | ModeFacts
    | StatisticsFacts
    | StepFacts
    | LabelFacts
    | ImageFacts
    | LikenessFacts
    | LoopFacts
    | AnewFacts
    | OddLossFacts
    | CrashFacts
    | OutOfMemoryFacts
    | StartupFacts
    | ExecutionFacts
    | RankStartFacts
    | RankFacts
    | RankEndFacts
    | GroupFacts
    | StartedFacts
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
