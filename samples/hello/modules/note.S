/* The notes of vmlinux are those of its modules. */
#include "notes.S"
