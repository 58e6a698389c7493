"""What a run begins anew with where its batch does not fit: half of it, and as many images an update; no torch."""

from __future__ import annotations

from collections.abc import Iterator

from reid_smoke.config.schema import Config, DataConfig

MOST = 99  # batches an update: of a training that makes none within a hundred nothing can be said (RS307)
LEAST = 2  # images, and of PK sampling people and images of each: of one, no norm and no loss can make anything


def smaller_batches(asked: Config) -> Iterator[Config]:
    """The config with a batch half as large each time, down to the least.

    Accumulation grows as the batch shrinks, so that the optimizer sees as many images an update as was asked for, but
    for a remainder where the batch is odd. What is counted in batches (window, steps) grows with it: the same images
    and the same updates are judged.
    """
    images = asked.data.batch_size * asked.train.accumulate
    data = _halved(asked.data)
    while data is not None:
        accumulate = max(asked.train.accumulate, round(images / data.batch_size))
        if accumulate > MOST:
            return
        longer = accumulate / asked.train.accumulate
        first, last = asked.rule.window
        train, rule, handover = asked.train, asked.rule, asked.handover
        yield asked.model_copy(
            update={
                "data": data,
                "train": train.model_copy(update={"accumulate": accumulate, "steps": _times(train.steps, longer)}),
                "rule": rule.model_copy(update={"window": (round(first * longer), round(last * longer))}),
                "handover": handover.model_copy(update={"steps": _times(handover.steps, longer)}),
            }
        )
        data = _halved(data)


def _halved(data: DataConfig) -> DataConfig | None:
    """None where it cannot be less. Of PK sampling whatever there is more of is halved, people or images of each: a
    batch of two people teaches as little as one without positives."""
    if data.sampler == "random":
        size = max(LEAST, data.batch_size // 2)
        return data.model_copy(update={"batch_size": size}) if size < data.batch_size else None
    people, images = data.batch_size // data.instances, data.instances
    if people > LEAST and (people > images or images <= LEAST):
        people = max(LEAST, people // 2)
    elif images > LEAST:
        images = max(LEAST, images // 2)
    else:
        return None
    return data.model_copy(update={"batch_size": people * images, "instances": images})


def _times(steps: int | None, longer: float) -> int | None:
    return None if steps is None else round(steps * longer)
