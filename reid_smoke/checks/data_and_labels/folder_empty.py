from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import DatasetFacts, LoaderFacts


@check("RS119", slug="folder-empty", severity="warn", uses=[DatasetFacts, LoaderFacts])
def folder_empty(datasets: list[DatasetFacts], loaders: list[LoaderFacts]) -> Finding | None:
    """One of several folders, or of several data sets, is empty.

    What it means:
        The training set is put together from several folders or data sets, and one of them holds nothing: an archive
        that was unpacked halfway, a path with a typing error that a `glob` answered with an empty list.

    Why it stops learning:
        It does not. It learns from less than was meant, and where the identities of the empty one were counted, the
        head has outputs that never come up.

    Mend:
        Count what each part holds, and end where it is nothing:

            assert len(images) > 0, f"nothing in {folder}"

    Seen in:
        Folder names that were taken for identities (ReID-PCB_RPP #7); lists of several data sets of which one was not
        downloaded.
    """
    empty = [name for facts in datasets for name in facts.empty_folders]
    if empty:
        return Finding(f"nothing lies in {len(empty)} of the folders beside those of identities: {listed(empty)}")
    parts = next((facts.parts for facts in loaders if facts.parts), ())
    if 0 in parts:
        counts = ", ".join(map(str, parts[:8]))
        return Finding(
            f"{parts.count(0)} of the {len(parts)} data sets of the loader are empty: {counts} images", step=1
        )
    return None
