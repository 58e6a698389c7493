"""Who the embedded pedestrians are: what each of them wears, carries and looks like; numpy only.

Common garments come up more often than rare ones, as in a street, so that many people share the colours of their
upper and lower clothing: telling them apart takes the pattern, the hair, the shoes and the bag as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SKIN = np.array([(244, 208, 180), (228, 184, 150), (198, 146, 108), (150, 102, 70), (98, 66, 48)])
HAIR = np.array([(32, 26, 24), (66, 42, 28), (112, 72, 40), (196, 158, 92), (150, 62, 34), (168, 166, 164)])
CLOTH = np.array(
    [
        (38, 38, 44),  # black
        (46, 58, 96),  # navy
        (128, 130, 136),  # grey
        (232, 232, 228),  # white
        (84, 112, 160),  # denim
        (186, 48, 46),  # red
        (62, 120, 78),  # green
        (206, 182, 140),  # beige
        (112, 80, 56),  # brown
        (232, 188, 62),  # yellow
        (146, 190, 222),  # light blue
        (222, 138, 164),  # pink
        (112, 72, 132),  # purple
        (226, 122, 46),  # orange
        (40, 136, 140),  # teal
        (92, 98, 66),  # olive
    ]
)
CLOTH_NAMES = (
    "black", "navy", "grey", "white", "denim blue", "red", "green", "beige", "brown", "yellow", "light blue", "pink",
    "purple", "orange", "teal", "olive",
)  # fmt: skip
HAIR_NAMES = ("black", "dark brown", "brown", "blond", "red", "grey")
UPPER_ODDS = (16, 11, 11, 12, 6, 7, 5, 5, 4, 4, 5, 4, 3, 3, 3, 3)
LOWER_ODDS = (22, 14, 10, 4, 24, 1, 1, 9, 6, 0, 2, 1, 1, 0, 0, 5)
SHOE_ODDS = (26, 6, 10, 22, 2, 6, 2, 6, 14, 2, 2, 3, 1, 2, 1, 1)
BAG_ODDS = (18, 8, 8, 3, 4, 9, 5, 5, 9, 5, 3, 5, 3, 5, 4, 4)

COAT_HEM = 600  # an upper garment that ends lower than this is a coat; all others end above it

PLAIN, HOOPS, STRIPES, BLOCK, OPEN_JACKET, LOGO = range(6)
TROUSERS, SHORTS, SKIRT = range(3)
NO_BAG, BACKPACK, HANDBAG, SHOULDER_BAG = range(4)
SHORT_HAIR, LONG_HAIR, BALD, HAT = range(4)


@dataclass(frozen=True)
class Wardrobe:
    """One row an identity. Colours are (C, 3) RGB 0..255; everything else is (C,), lengths in 1/1024 of the body."""

    skin: Ints
    hair: Ints
    upper: Ints
    second: Ints  # the other colour of a pattern
    lower: Ints
    shoes: Ints
    bag_colour: Ints
    hat: Ints
    hair_style: Ints
    pattern: Ints
    band: Ints  # width of a stripe
    legwear: Ints
    bag: Ints
    long_sleeves: NDArray[np.bool_]
    tights: NDArray[np.bool_]  # under a skirt
    beard: NDArray[np.bool_]
    glasses: NDArray[np.bool_]
    girth: Ints  # per 256
    shoulders: Ints
    hip: Ints
    hem: Ints  # where the upper garment ends

    def of(self, identities: Ints) -> Wardrobe:
        """The rows of these identities, in this order; (N, ...) each."""
        return Wardrobe(**{name: getattr(self, name)[identities] for name in self.__dataclass_fields__})


def draw_wardrobe(identities: int, random: np.random.RandomState) -> Wardrobe:
    """Dress so many people. All draws are integers, so that every machine draws the same."""

    def pick(odds: tuple[int, ...]) -> Ints:
        return np.searchsorted(np.cumsum(odds), random.randint(0, sum(odds), identities), side="right")

    def between(low: int, high: int) -> Ints:
        return random.randint(low, high + 1, identities)

    def chance(percent: int) -> NDArray[np.bool_]:
        return random.randint(0, 100, identities) < percent

    def dye(colours: Ints, spread: int) -> Ints:
        """The same garment is never quite the same colour twice."""
        dyed: Ints = np.clip(colours + random.randint(-spread, spread + 1, (identities, 3)), 8, 247)
        return dyed

    upper = pick(UPPER_ODDS)
    second = (upper + between(1, len(CLOTH) - 1)) % len(CLOTH)  # never the upper's own
    legwear = pick((68, 15, 17))
    sleeves = chance(70)
    coat = sleeves & chance(22)
    return Wardrobe(
        skin=dye(SKIN[pick((20, 30, 22, 16, 12))], 6),
        hair=dye(HAIR[pick((34, 24, 18, 12, 5, 7))], 8),
        upper=dye(CLOTH[upper], 14),
        second=dye(CLOTH[second], 14),
        lower=dye(CLOTH[pick(LOWER_ODDS)], 14),
        shoes=dye(CLOTH[pick(SHOE_ODDS)], 12),
        bag_colour=dye(CLOTH[pick(BAG_ODDS)], 14),
        hat=dye(CLOTH[pick(BAG_ODDS)], 14),
        hair_style=pick((52, 30, 6, 12)),
        pattern=pick((38, 14, 10, 12, 14, 12)),
        band=between(22, 46),
        legwear=legwear,
        bag=pick((44, 24, 16, 16)),
        long_sleeves=sleeves,
        tights=chance(45),
        beard=chance(18),
        glasses=chance(18),
        girth=between(206, 312),
        shoulders=between(94, 122),
        hip=between(492, 536),
        hem=np.where(coat, between(COAT_HEM, 690), between(505, 560)),
    )
