/* What the C files share: types, the kernel's tables as structs, and the functions that cross files. */
#ifndef KERNEL_H
#define KERNEL_H

/* Where vmlinux.lds links the image. Its page tables have one 2 MiB block for it (early.c). */
#define KIMAGE_VADDR 0xffff800008000000

/* cpucap numbers are this kernel's own, as they are in every Linux version. */
#define CAP_PSCI_BY_SMC 1

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long s64;

#define NULL ((void *)0)
#define EFAULT 14

#define __init __attribute__((section(".init.text")))
#define __initdata __attribute__((section(".init.data")))
#define __ro_after_init __attribute__((section(".data..ro_after_init")))
#define __weak __attribute__((weak))

/* The tables below hold distances, each counted from the field it is in: no relocation, half the size. */
static inline void *prel32(const s32 *field)
{
	return (u8 *)field + *field;
}

struct kernel_symbol {
	s32 value, name, namespace;
};

struct exception_table_entry {
	s32 insn, fixup;
	s16 type, data;
};

struct alt_instr {
	s32 orig, alt;
	u16 cpucap;
	u8 orig_len, alt_len;
};

struct bug_entry {
	s32 addr, file;
	u16 line, flags;
};

/* Absolute pointers: every one of them costs an entry in .rela.dyn. */
struct kernel_param;

struct kernel_param_ops {
	u32 flags;
	int (*set)(const char *text, const struct kernel_param *param);
	int (*get)(char *text, const struct kernel_param *param);
	void (*free)(void *arg);
};

struct kernel_param {
	const char *name;
	void *mod;
	const struct kernel_param_ops *ops;
	u16 perm;
	s8 level;
	u8 flags;
	void *arg;
};

_Static_assert(sizeof(struct kernel_symbol) == 12, "struct kernel_symbol");
_Static_assert(sizeof(struct exception_table_entry) == 12, "struct exception_table_entry");
_Static_assert(sizeof(struct alt_instr) == 12, "struct alt_instr");
_Static_assert(sizeof(struct bug_entry) == 12, "struct bug_entry");
_Static_assert(sizeof(struct kernel_param) == 40, "struct kernel_param");

/* Bounds of the tables, from vmlinux.lds. */
extern const struct kernel_symbol __start___ksymtab[], __stop___ksymtab[];
extern const struct kernel_symbol __start___ksymtab_gpl[], __stop___ksymtab_gpl[];
extern const struct exception_table_entry __start___ex_table[], __stop___ex_table[];
extern const struct bug_entry __start___bug_table[], __stop___bug_table[];
extern const struct kernel_param __start___param[], __stop___param[];
extern const struct alt_instr __alt_instructions[], __alt_instructions_end[];

extern const char linux_banner[];
extern u64 physical_base;
extern char log_buffer[1024];
extern u64 log_length;

u64 strlen(const char *text);
int probe_read(u64 address, u32 *value);
void uart_print(const char *text);
void print(const char *text);

/* Room for any 64 bit number from base 10 up, and the end of the string. */
#define NUMBER_TEXT_SIZE 21
int number_text(char *text, u64 number, u32 base);
void print_unsigned(u64 number);
void print_hex(u64 number);

const void *find_export(const struct kernel_symbol *first, const struct kernel_symbol *end, const char *name);
void __attribute__((noreturn)) power_off(void);

#endif
