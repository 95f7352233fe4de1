"""How much of a file is looked at, at most."""

HEAD = 4096
"""Bytes at the start of a file that tell its kind."""
LARGEST_KERNEL = 1 << 30
"""Bytes of a kernel that are searched or compared. No kernel is larger; a sparse file may be a thousand times that."""
