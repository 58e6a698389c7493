"""What can go wrong outside of a training, each kind with the exit code that it ends in.

Every message says what was found, where, and what to do next. The command line prints the message alone,
without a traceback: nobody needs ours to mend their file.
"""


class ReidSmokeError(Exception):
    """Base of every error that is meant for the user's eyes."""

    exit_code = 3


class UsageError(ReidSmokeError):
    """The command line, the config or what they point to is wrong; nothing was trained and nothing is left behind."""

    exit_code = 2


class ConfigError(UsageError):
    """One or more problems in a YAML config; the message lists them all, a line each with its place."""


class DataError(UsageError):
    """The data set cannot be used as described: an empty folder, another layout, too few identities."""


class ModelError(UsageError):
    """The model cannot be built as described: no such backbone, a weights file that is not one."""


class CouldNotJudge(ReidSmokeError):
    """Training had begun and ended before anything could be judged."""


def nearest(word: str, candidates: "list[str]", count: int = 3) -> list[str]:
    """The candidates that look most like `word`, best first; empty when none comes close."""
    import difflib

    return difflib.get_close_matches(word, candidates, n=count, cutoff=0.5)


def in_a_line(error: BaseException) -> str:
    """`ValueError: its first line`."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
