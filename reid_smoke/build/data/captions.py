"""What an image-text data set would say of the embedded pedestrians: captions made from what is drawn; numpy only.

A caption speaks of what its image shows, and of nothing that the image hides: no beard from behind, no shoes behind a
wall. As people's captions do, it leaves something out, and says the same in several ways.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reid_smoke.build.data import wardrobe as w
from reid_smoke.build.data.canvas import BACK, FRONT, SIDE
from reid_smoke.build.data.pedestrians import Pedestrians
from reid_smoke.build.data.wardrobe import CLOTH, CLOTH_NAMES, HAIR, HAIR_NAMES, Ints

CAPTIONS = 2  # of an image, as CUHK-PEDES has them
_MOST_LEFT_OUT = 2  # details


def captions_of(rendered: Pedestrians, seed: int = 0) -> list[tuple[str, ...]]:
    """`CAPTIONS` captions of each image, the same for a seed on every machine.

    Drawn from a generator of their own, so that images with captions are the same as those without.
    """
    random = np.random.RandomState(seed)
    of_identity = [_Person(rendered, identity) for identity in range(len(rendered.people.skin))]
    captions = []
    for image, identity in enumerate(rendered.identities.tolist()):
        seen = of_identity[identity].seen(rendered, image)
        captions.append(tuple(_write(seen, random) for _ in range(CAPTIONS)))
    return captions


def colour_name(colour: Ints) -> str:
    """What a cloth's colour (3,) is called: by the nearest of the wardrobe's, since no two are dyed quite alike."""
    return _nearest(colour, CLOTH, CLOTH_NAMES)


def _nearest(colour: Ints, known: Ints, names: tuple[str, ...]) -> str:
    return names[int(((known - colour) ** 2).sum(axis=1).argmin())]


class _Person:
    """One identity in words."""

    def __init__(self, rendered: Pedestrians, identity: int) -> None:
        who = {name: getattr(rendered.people, name)[identity] for name in rendered.people.__dataclass_fields__}
        self._who = who
        self._second = colour_name(who["second"])
        self._upper = colour_name(who["upper"])
        self._hair = _nearest(who["hair"], HAIR, HAIR_NAMES)
        leg = {w.TROUSERS: ("trousers", "pants"), w.SHORTS: ("shorts",), w.SKIRT: ("skirt",)}[int(who["legwear"])]
        article = "a " if who["legwear"] == w.SKIRT else ""
        tights = " over dark tights" if who["legwear"] == w.SKIRT and who["tights"] else ""
        lower = colour_name(who["lower"])
        self._lower = tuple(f"{_a(lower) if article else lower} {name}{tights}" for name in leg)

    def seen(self, rendered: Pedestrians, image: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """What is worn on this image, which every caption says, and the details; each in one or several ways."""
        who: dict[str, Any] = self._who
        turn, heading = int(rendered.poses.turn[image]), int(rendered.poses.heading[image])
        behind_wall = int(rendered.poses.obstacle[image]) == 1
        uppers = self._garments(turn)
        worn = tuple(f"{upper} and {lower}" for upper in uppers for lower in self._lower)
        details = [self._head(turn)]
        if not behind_wall:  # low walls hide the feet, and leave the knees
            details.append((f"{colour_name(who['shoes'])} shoes",))
        bag = self._bag(turn, heading)
        if bag is not None:
            details.append(bag)
        if turn != BACK and who["glasses"]:
            details.append(("glasses",))
        if turn != BACK and who["beard"]:
            details.append(("a beard",))
        return worn, details

    def _garments(self, turn: int) -> tuple[str, ...]:
        who, colour, second = self._who, self._upper, self._second
        if who["hem"] >= w.COAT_HEM:
            names: tuple[str, ...] = ("coat", "long coat")
        else:
            names = ("sweater", "long-sleeved shirt") if who["long_sleeves"] else ("T-shirt", "short-sleeved shirt")
        said = [f"{_a(colour)} {name}" for name in names]
        pattern = int(who["pattern"])
        if pattern == w.HOOPS:
            return tuple(f"{text} with {second} horizontal stripes" for text in said)
        if pattern == w.STRIPES:
            return tuple(f"{text} with {second} vertical stripes" for text in said)
        if pattern == w.BLOCK:
            return tuple(f"{text} with a {second} lower half" for text in said)
        if pattern == w.OPEN_JACKET and turn in (FRONT, SIDE):
            return tuple(f"{text} open over something {second}" for text in said)
        if pattern == w.LOGO and turn == FRONT:
            return tuple(f"{text} with a {second} logo on the chest" for text in said)
        return tuple(said)

    def _head(self, turn: int) -> tuple[str, ...]:
        style = int(self._who["hair_style"])
        if style == w.HAT:
            hat = colour_name(self._who["hat"])
            return (f"{_a(hat)} hat", f"{_a(hat)} cap")
        if style == w.BALD:
            return ("a bald head", "no hair")
        length = "long" if style == w.LONG_HAIR else "short"
        return (f"{length} {self._hair} hair", f"{self._hair} hair")

    def _bag(self, turn: int, heading: int) -> tuple[str, ...] | None:
        kind, colour = int(self._who["bag"]), colour_name(self._who["bag_colour"])
        if kind == w.BACKPACK:
            return (f"{_a(colour)} backpack", f"{_a(colour)} rucksack")
        if kind == w.HANDBAG:
            return (f"{_a(colour)} handbag in the right hand", f"{_a(colour)} handbag")
        if kind == w.SHOULDER_BAG and (turn != SIDE or heading > 0):  # it hangs at the right hip
            return (f"{_a(colour)} shoulder bag", f"{_a(colour)} bag over the shoulder")
        return None


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _write(seen: tuple[tuple[str, ...], list[tuple[str, ...]]], random: np.random.RandomState) -> str:
    """One caption: an opening, what is worn, and the details in an order of their own, some of them left out."""
    worn, details = seen

    def one_of(ways: tuple[str, ...]) -> str:
        return ways[random.randint(len(ways))]

    left_out = random.randint(0, min(_MOST_LEFT_OUT, len(details) - 1) + 1)
    order = random.permutation(len(details))[left_out:].tolist()
    opening = one_of(("A person wears", "This person is wearing", "The pedestrian is dressed in", "Somebody in"))
    first = f"{opening} {one_of(worn)}"
    rest = [one_of(details[at]) for at in order]
    listed = rest[0] if len(rest) == 1 else f"{', '.join(rest[:-1])} and {rest[-1]}"
    if opening == "Somebody in":
        return f"{first}, with {listed}."
    return f"{first}. {one_of(('The person has', 'One also sees', 'Details:'))} {listed}."
