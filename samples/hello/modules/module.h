/* What makes C a loadable module: the text of .modinfo, the struct that the kernel keeps, versions, parameters. */
#ifndef MODULE_H
#define MODULE_H

#include "export.h"
#include "kernel.h"

#define __exit __attribute__((section(".exit.text")))

/* Code that is built into the kernel has its name before every tag. */
#ifndef MODINFO_PREFIX
#define MODINFO_PREFIX ""
#endif

/* tag=text, in the order of the source. Tags repeat. */
#define JOIN(a, b) a##b
#define MODULE_TEXT(number, line) \
	static const char JOIN(modinfo_, number)[] \
		__attribute__((used, section(".modinfo"), aligned(1))) = MODINFO_PREFIX line
#define MODULE_INFO(tag, text) MODULE_TEXT(__COUNTER__, #tag "=" text)

#define MODULE_LICENSE(text) MODULE_INFO(license, text)
#define MODULE_AUTHOR(text) MODULE_INFO(author, text)
#define MODULE_DESCRIPTION(text) MODULE_INFO(description, text)
#define MODULE_ALIAS(text) MODULE_INFO(alias, text)
#define MODULE_SOFTDEP(text) MODULE_INFO(softdep, text)
#define MODULE_IMPORT_NS(namespace) MODULE_INFO(import_ns, #namespace)

/* What a module shares with the kernel that loads it. Of the members between, tools read none. */
struct module {
	u8 list[24];
	char name[56];
	u8 before_init[0x138 - 80];
	int (*init)(void);
	u8 before_exit[0x340 - 0x140];
	void (*exit)(void);
	u8 rest[0x380 - 0x348];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct module) == 0x380, "struct module");

extern struct module __this_module;
int init_module(void);
void cleanup_module(void);

/* One row for each symbol that the module needs. */
struct modversion_info {
	u64 crc;
	char name[56];
};

/* EXPORT_CRC changes the section behind the compiler's back. */
#define EXPORT_VERSION(table, symbol, crc) \
	ASSEMBLY(EXPORT_CRC(table, symbol, crc)); \
	asm(".previous")

/* The kernel exports no way to set a parameter: a module brings its own. */
#define MODULE_PARAM(variable, type, operations, permission, text) \
	MODULE_INFO(parmtype, #variable ":" type); \
	MODULE_INFO(parm, #variable ":" text); \
	static const char param_name_##variable[] = #variable; \
	static const struct kernel_param param_##variable \
		__attribute__((used, section("__param"), aligned(8))) = { \
		.name = param_name_##variable, \
		.mod = &__this_module, \
		.ops = &operations, \
		.perm = permission, \
		.level = -1, \
		.arg = &variable, \
	}

#endif
