/* An export from assembly, whose namespace field is 0 and has no relocation. */
#include "export.h"

	.text

/* u64 text_count(const char *text, char letter) */
	.globl	text_count
	.type	text_count, %function
text_count:
	mov	x2, x0
	mov	x0, #0
	and	w1, w1, #0xff
1:	ldrb	w3, [x2], #1
	cbz	w3, 2f
	cmp	w3, w1
	cinc	x0, x0, eq
	b	1b
2:	ret
	.size	text_count, . - text_count
EXPORT_SYMBOL(text_count)
