"""Build a data set of real drawings with many classes in Market-1501's layout: Omniglot's small background sets.

    python scripts/make_omniglot.py omniglot_images_background_small1.zip omniglot_images_background_small2.zip \\
        data/omniglot

Both archives are part of Omniglot (MIT, https://github.com/brendenlake/omniglot, in python/). Together they hold 242
characters, each drawn once by each of 20 people: pid = character, camera = drawer. With --rotate each quarter turn of
a character is one more, as few-shot learning counts them: 968 in all.

Files are named like 0017_c05s1_000000_00.png: pid (from 1, by alphabet and character), drawer, and quarter turns in
the last place. Everything goes to bounding_box_train: the set is there to be trained on, and nothing is retrieved.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

from PIL import Image, UnidentifiedImageError

_DRAWING = re.compile(r"[^/]+/([^/]+)/(character\d+)/\d+_(\d\d)\.png")
TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


class Problem(Exception):
    """Something about the arguments; the message is for the user."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip1", type=Path, metavar="ZIP1", help="images_background_small1.zip")
    parser.add_argument("zip2", type=Path, metavar="ZIP2", help="images_background_small2.zip")
    parser.add_argument("out", type=Path, metavar="OUT", help="the data set's folder, which must not exist yet")
    parser.add_argument("--rotate", action="store_true", help="quarter turns are characters of their own")
    arguments = parser.parse_args()
    try:
        characters, drawings = build([arguments.zip1, arguments.zip2], arguments.out, rotate=arguments.rotate)
    except (Problem, OSError) as error:
        sys.exit(f"make_omniglot: {error}")
    print(f"{arguments.out}: {drawings} drawings of {characters} characters in bounding_box_train")


def build(archives: list[Path], out: Path, *, rotate: bool) -> tuple[int, int]:
    """Write the data set to `out`, whole or not at all.

    Returns how many characters and how many drawings it has. Raises Problem, OSError.
    """
    if out.exists():
        raise Problem(f"{out} exists already: remove it, or name another folder")
    drawings: dict[tuple[str, str, int], bytes] = {}  # alphabet, character, drawer -> PNG
    for archive in archives:
        drawings.update(_read(archive))
    characters = sorted({key[:2] for key in drawings})
    turns = TURNS if rotate else TURNS[:1]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as work:
        train = Path(work) / out.name / "bounding_box_train"
        train.mkdir(parents=True)
        pid_of = {character: pid for pid, character in enumerate(characters, start=1)}
        for (alphabet, character, drawer), png in drawings.items():
            try:
                image = Image.open(io.BytesIO(png)).convert("L")
            except (UnidentifiedImageError, OSError) as error:
                raise Problem(f"{alphabet}/{character}, drawer {drawer}: {error}") from None
            for quarter, turn in enumerate(turns):
                pid = pid_of[alphabet, character] + quarter * len(characters)
                turned = image if turn is None else image.transpose(turn)
                turned.save(train / f"{pid:04d}_c{drawer:02d}s1_000000_{quarter:02d}.png")
        train.parent.rename(out)
    return len(characters) * len(turns), len(drawings) * len(turns)


def _read(path: Path) -> dict[tuple[str, str, int], bytes]:
    """The drawings of one archive. Raises Problem where it is none, or holds none."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for name in names:
                if match := _DRAWING.fullmatch(name):
                    found[match[1], match[2], int(match[3])] = archive.read(name)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise Problem(f"{path} is no whole zip archive: {error}") from None
    if not found:
        example = names[0] if names else "nothing"
        raise Problem(f"{path}: looked for .../Alphabet/character01/0001_01.png, found {example}")
    return found


if __name__ == "__main__":
    main()
