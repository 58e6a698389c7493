"""The command line: one file per command. Commands import what they need when they run, so that `--help` is quick."""

import time

STARTED = time.perf_counter()  # close to the process's start: nothing of ours is imported earlier


def main() -> None:
    """The entry point of `reid-smoke` and of `python -m reid_smoke`."""
    from reid_smoke.cli.app import app

    app(prog_name="reid-smoke")
