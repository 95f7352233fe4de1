"""Checks of overlays, alone and together with the device tree that they are applied to."""

from collections.abc import Iterator

from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.errors import Location
from kinspect.views.dtb.overlay import OverlayFacts
from kinspect.views.dtb.pairing import UnpairedOverlays
from kinspect.views.dtb.resolution import broken_tables


@check(Severity.ERROR)
def overlay_references_are_in_order(dtb: Dtb) -> Iterator[Evidence]:
    """`__fixups__` and `__local_fixups__` of an overlay lead to properties that it has.

    They list the places of its references, which are filled in when it is applied. If they are wrong, fdtoverlay,
    U-Boot and the kernel refuse the overlay on every base (FDT_ERR_BADOVERLAY). The file was changed after it was
    compiled; compile it again.
    Source: dtc, libfdt/fdt_overlay.c.
    """
    if dtb.form == DtbKind.OVERLAY and dtb.structure.stopped is None:
        found = broken_tables(dtb)
        if found:
            yield Evidence(found.message, (found.at,), found.expected, found.actual)


@check(Severity.INFO)
def overlays_apply_to_a_tree_beside_them(unpaired: UnpairedOverlays) -> Iterator[Evidence]:
    """Every overlay applies to a device tree that was given with it.

    Its base may be elsewhere, and the firmware of a Raspberry Pi changes a tree before it applies overlays. If the base
    is here, `kinspect dtb OVERLAY --onto BASE` says what is missing: often the labels, which only `dtc -@` puts into a
    tree.
    Source: dtc, libfdt/fdt_overlay.c, fdt_overlay_apply().
    """
    many = f"any of {unpaired.bases:,} device trees here, such as " if unpaired.bases > 1 else ""
    first = Location(unpaired.overlays[0].path) if unpaired.overlays else Location("")
    found = (
        Evidence(f"does not apply to {many}{one.base}: {one.problem.message}", (one.problem.at,))
        for one in unpaired.overlays
    )
    yield from capped(found, "overlays", first)


@check(Severity.ERROR)
def overlays_apply(facts: OverlayFacts) -> Iterator[Evidence]:
    """Every overlay applies to the base, after those before it.

    fdtoverlay, U-Boot and the kernel refuse an overlay that refers to a label or path which the base does not have,
    mostly with FDT_ERR_NOTFOUND alone. Labels are in the base only if it was compiled with `dtc -@` (in the kernel:
    `DTC_FLAGS_board := -@`); those of other overlays only after these are applied. Take the base or the overlay of the
    same kernel, or correct the target in the source.
    Source: dtc, libfdt/fdt_overlay.c, fdt_overlay_apply().
    """
    for overlay in facts.overlays:
        if overlay.problem:
            found = overlay.problem
            yield Evidence(f"{found.message} ({found.error})", (found.at,), found.expected, found.actual)


@check(Severity.WARNING)
def overlays_keep_phandles(facts: OverlayFacts) -> Iterator[Evidence]:
    """No overlay changes the phandle of a node of the base.

    References to the node in the base keep the old number and lead nowhere. It happens when an overlay has a label on
    `__overlay__`, or on a node that the base has too. fdtoverlay keeps the phandle of the base since dtc 1.7.1 (`--dtc
    1.7.1`); the kernel refuses such an overlay at run time. Remove the label, and refer to that of the base.
    Source: dtc, libfdt/fdt_overlay.c, overlay_prevent_phandle_overwrite(); drivers/of/overlay.c.
    """

    def found() -> Iterator[Evidence]:
        for overlay in facts.overlays:
            for place, before, now in overlay.replaced:
                what = f"{overlay.path} changes the phandle of a node of the base"
                yield Evidence(what, (place,), f"{before:#x}", f"{now:#x}")

    yield from capped(found(), "nodes", Location(facts.path))


@check(Severity.INFO)
def overlays_change_something(facts: OverlayFacts) -> Iterator[Evidence]:
    """Every overlay changes the base.

    An overlay has no effect when the base already has its nodes and values, or when all of its fragments are dormant:
    Raspberry Pi's firmware activates those by a parameter. There is nothing to fix, unless a change was expected.
    Source: dtc, libfdt/fdt_overlay.c, overlay_merge().
    """
    for overlay in facts.overlays:
        if overlay.applied and not (overlay.nodes_added or overlay.properties_added or overlay.properties_changed):
            yield Evidence("the overlay changes nothing", (Location(overlay.path),))
