/*
 * EXPORT_SYMBOL and its kin, one definition for assembly and C.
 *
 * Each export lies in a section of its own, named after the symbol: vmlinux.lds sorts those by name, and so the
 * table can be searched by bisection. The CRC comes later, from the versions.S that build.sh writes.
 */
#ifndef EXPORT_H
#define EXPORT_H

#define EXPORT_STRING(label, text) \
	.pushsection __ksymtab_strings, "aMS", %progbits, 1; \
label:	.asciz text; \
	.popsection

#define EXPORT_ENTRY(table, symbol, namespace) \
	EXPORT_STRING(__kstrtab_##symbol, #symbol); \
	.pushsection ___ksymtab##table+symbol, "a"; \
	.balign 4; \
__ksymtab_##symbol: \
	.long symbol - .; \
	.long __kstrtab_##symbol - .; \
	.long namespace; \
	.popsection

#define EXPORT_CRC(table, symbol, crc) \
	.section ___kcrctab##table+symbol, "a"; \
	.balign 4; \
__crc_##symbol: \
	.long crc

#ifdef __ASSEMBLER__

/* As in Linux 6.1, an export from assembly has no namespace at all: the field is 0. */
#define EXPORT_SYMBOL(symbol) EXPORT_ENTRY(, symbol, 0)
#define EXPORT_SYMBOL_GPL(symbol) EXPORT_ENTRY(_gpl, symbol, 0)

#else

#define ASSEMBLY_TEXT(...) #__VA_ARGS__
#define ASSEMBLY(...) asm(ASSEMBLY_TEXT(__VA_ARGS__))

/* An export from C always points to a namespace, if only to the empty one. */
#define EXPORT_FROM_C(table, symbol, namespace) \
	ASSEMBLY(EXPORT_STRING(__kstrtabns_##symbol, namespace)); \
	ASSEMBLY(EXPORT_ENTRY(table, symbol, __kstrtabns_##symbol - .))

#define EXPORT_SYMBOL(symbol) EXPORT_FROM_C(, symbol, "")
#define EXPORT_SYMBOL_GPL(symbol) EXPORT_FROM_C(_gpl, symbol, "")
#define EXPORT_SYMBOL_NS(symbol, namespace) EXPORT_FROM_C(, symbol, #namespace)
#define EXPORT_SYMBOL_NS_GPL(symbol, namespace) EXPORT_FROM_C(_gpl, symbol, #namespace)

#endif
#endif
