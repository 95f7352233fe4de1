/* Two exported functions in assembly: one plain, one GPL. */
#include "export.h"
#include "trap.h"

	.text

/* u64 strlen(const char *text) */
	.globl	strlen
	.type	strlen, %function
strlen:
	mov	x1, x0
1:	ldrb	w2, [x1], #1
	cbnz	w2, 1b
	sub	x0, x1, x0
	sub	x0, x0, #1
	ret
	.size	strlen, . - strlen
EXPORT_SYMBOL(strlen)

/* int probe_read(u64 address, u32 *value): -EFAULT, and a value of 0, if there is nothing to read. */
	.globl	probe_read
	.type	probe_read, %function
probe_read:
	mov	x2, x0
	mov	w0, #0
1:	ldr	w3, [x2]
2:	str	w3, [x1]
	ret
	EX_TABLE_ENTRY(1b, 2b, EX_TYPE_KACCESS_ERR_ZERO, EX_DATA(0, 3))
	.size	probe_read, . - probe_read
EXPORT_SYMBOL_GPL(probe_read)
