"""How much of a file is read at most."""

HEAD = 4096
"""Bytes at the start of a file from which its kind is recognised."""
LARGEST_KERNEL = 1 << 30
"""Bytes of a kernel that are searched or compared. No kernel is larger, but a sparse file may be."""
