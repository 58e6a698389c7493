"""How long a data set of MSMT17's size takes from process start to the first step, and how much memory.

    python scripts/bench_reading.py [--runs 3] [--data FOLDER]

The set is made of generated files: 126,441 JPEGs of 128x64 of 4,101 identities and 15 cameras in MSMT17's layout, all
of them in list_train.txt (the real set trains on a quarter of them). It is kept in FOLDER, by default in one that is
removed again, and takes about half a GiB.

Measured are whole processes, one after the other: `reid-smoke run` with a small model from its start until its first
batch, and `reid-smoke inspect`, which ends after the first batch, with the memory that it takes by then. Memory is that
of the process and of what it starts, sampled while it runs; pages that they share are counted once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from statistics import median

from PIL import Image

from reid_smoke.build.data.pedestrians import render_pedestrians

IMAGES, IDENTITIES, CAMERAS = 126_441, 4_101, 15  # MSMT17's
CONFIG = """\
name: reading
device: cpu
data: {{source: msmt17, root: {root}, height: 256, width: 128, batch_size: 64, sampler: pk}}
model: {{backbone: shufflenet_v2_x0_5}}
rule: {{window: [5, 10]}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--data", type=Path, help="keep the generated set here, and use it again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        root = arguments.data or Path(work) / "MSMT17_V1"
        if not (root / "list_train.txt").exists():
            write_set(root)
        runs = [_measure(root, Path(work) / str(number)) for number in range(arguments.runs)]
    for name, unit in (
        ("run", "s from process start to the first batch"),
        ("inspect", "s from process start to its end"),
        ("memory", "MiB, the most that inspect takes"),
    ):
        values = sorted(run[name] for run in runs)
        print(f"{name:8} {median(values):8.2f} {unit} (median of {len(values)}: {values[0]:.2f} to {values[-1]:.2f})")


def write_set(root: Path) -> None:
    """Write the generated set; the list comes last, so that a set with a list is whole."""
    pictures = []
    for image in render_pedestrians(25, 128, 64).pixels:
        buffer = BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=85)
        pictures.append(buffer.getvalue())
    lines = []
    for number in range(IMAGES):
        pid, shot = number % IDENTITIES, number // IDENTITIES
        folder = root / "train" / f"{pid:04d}"
        if not shot:
            folder.mkdir(parents=True)
        name = f"{pid:04d}_{shot:03d}_{shot % CAMERAS + 1:02d}_0303morning_{number:06d}_0.jpg"
        (folder / name).write_bytes(pictures[number % len(pictures)])
        lines.append(f"{pid:04d}/{name} {pid}\n")
    (root / "list_train.txt").write_text("".join(lines))


def _measure(root: Path, out: Path) -> dict[str, float]:
    config = out.with_suffix(".yaml")
    config.write_text(CONFIG.format(root=json.dumps(str(root))))
    inspected = _call("inspect", str(config), "--out", str(out.with_suffix(".jpg")))
    _call("run", str(config), "--out", str(out))
    report = json.loads((out / "report.json").read_bytes())
    steps = (json.loads(line) for line in (out / "facts.jsonl").read_text().splitlines())
    first = next(step for step in steps if step["kind"] == "step")
    return {
        "run": report["timing"]["startup_s"] + first["data_s"],
        "inspect": inspected["wall"],
        "memory": inspected["memory"],
    }


def _call(*arguments: str) -> dict[str, float]:
    begun, memory = time.perf_counter(), 0
    command = (sys.executable, "-m", "reid_smoke", *arguments)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        while process.poll() is None:
            memory = max(memory, sum(map(_proportional, _tree(process.pid))))
            time.sleep(0.05)
        wall = time.perf_counter() - begun
        if process.returncode not in (0, 1):  # what so few steps are judged as does not matter here
            said.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}: {said.read().decode()}")
    return {"wall": wall, "memory": memory / 1024}


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _proportional(pid: int) -> int:
    """KiB that a process holds; of pages that several hold, its share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
