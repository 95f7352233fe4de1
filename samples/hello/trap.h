/* Entries of __ex_table and __bug_table, made beside the instruction they are about. */
#ifndef TRAP_H
#define TRAP_H

/* On a fault: an error number in one register, zero in another, and on at the fixup. Numbers of Linux 6.1. */
#define EX_TYPE_KACCESS_ERR_ZERO 3
#define EX_DATA(error, zero) ((zero) << 5 | (error))
#define EX_DATA_ERROR(data) ((data) & 31)
#define EX_DATA_ZERO(data) ((data) >> 5 & 31)

#define BRK_BUG 0x800
#define BUGFLAG_WARNING 1
#define BUGFLAG_TAINT(number) ((number) << 8)
#define TAINT_WARN 9

#ifdef __ASSEMBLER__

#define EX_TABLE_ENTRY(insn, fixup, type, data) \
	.pushsection __ex_table, "a"; \
	.balign 4; \
	.long insn - ., fixup - .; \
	.short type, data; \
	.popsection

#else

#define WARN() \
	asm volatile("1:	brk	%c0\n" \
		     "	.pushsection .rodata.str, \"aMS\", %%progbits, 1\n" \
		     "2:	.asciz	\"" __FILE__ "\"\n" \
		     "	.popsection\n" \
		     "	.pushsection __bug_table, \"aw\"\n" \
		     "	.balign	4\n" \
		     "	.long	1b - ., 2b - .\n" \
		     "	.short	%c1, %c2\n" \
		     "	.popsection" \
		     : : "i"(BRK_BUG), "i"(__LINE__), "i"(BUGFLAG_WARNING | BUGFLAG_TAINT(TAINT_WARN)))

#endif
#endif
