"""The tables of a kernel in a raw Image, decoded."""

from kinspect.artifacts.boot.image import Image
from kinspect.errors import UnsupportedError
from kinspect.views.rebuilt.facts import missing_symbols
from kinspect.views.rebuilt.file import vmlinux_of
from kinspect.views.tables.entries import TableFacts, table_facts
from kinspect.views.tables.listing import LAYOUTS, tables_by_name


def image_table_facts(image: Image, name: str) -> TableFacts:
    """The entries of one table. UnsupportedError when it is not found in this Image, else as `table` and `vmlinux_of`.

    The offset of its section is that in the Image.
    """
    vmlinux = vmlinux_of(image)
    present = tables_by_name(vmlinux)
    if name in LAYOUTS and name not in present:
        found = ", ".join(table for table in present if table in LAYOUTS) or "none"
        reason = missing_symbols(image) or "the kernel may have none"
        problem = f"{name} was not found in the Image ({reason}); found: {found}"
        raise UnsupportedError(problem, image.at())
    facts = table_facts(vmlinux, name)
    section = facts.table.section
    offset = section.offset - vmlinux.segments[0].p_offset
    return facts._replace(table=facts.table._replace(section=section._replace(offset=offset)))
