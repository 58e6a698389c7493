from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import FreezeFacts


@check(
    "RS505", slug="freeze-pattern-matches-nothing", severity="fail", needs=[FreezeFacts], explains=["RS403", "RS417"],
)  # fmt: skip
def freeze_pattern_matches_nothing(patterns: list[FreezeFacts]) -> Finding | None:
    """A freeze pattern matches no parameter.

    What it means:
        The plan says that something is frozen, and nothing is.

    Why it stops learning:
        What was to be protected is trained, with a learning rate that was chosen for the rest.

    Mend:
        Print the parameters' names and write the pattern after them; a module that was renamed or wrapped has another
        prefix.

    Seen in:
        Freeze patterns that miss the renamed module, in users' code.
    """
    empty = [f.pattern for f in patterns if not f.matched]
    return Finding(f"no parameter is called like {listed(empty)}") if empty else None
