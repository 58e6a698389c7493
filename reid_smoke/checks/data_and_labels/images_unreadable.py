from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import UnreadableFacts


@check("RS103", slug="images-unreadable", severity="warn", needs=[UnreadableFacts])
def images_unreadable(files: list[UnreadableFacts]) -> Finding | None:
    """Some images cannot be read.

    What it means:
        A file is truncated, empty, or no image. Another image of the same identity took its place.

    Why it stops learning:
        A few do not. Over one in a hundred, nothing can be said about the training any more, and the verdict is
        UNKNOWN.

    Mend:
        Copy the named files again, or delete them.

    Seen in:
        Code bases that retry a corrupt image for ever (`while not got_img`), which looks like a training that hangs.
    """
    names = [f"{f.path} ({f.reason})" for f in files]
    return Finding(f"{len(names)} could not be read: {listed(names, 2)}")
