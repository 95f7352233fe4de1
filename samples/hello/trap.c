/* What an exception means: the two tables that are searched by the address of an instruction. */
#include "kernel.h"
#include "trap.h"

#define EXCEPTION_CLASS(syndrome) ((syndrome) >> 26 & 63)
#define DATA_ABORT_IN_KERNEL 0x25
#define BREAKPOINT_INSTRUCTION 0x3c

/* The order is that of entry.S. */
struct registers {
	u64 x[31], pc, pstate, syndrome;
};

_Static_assert(sizeof(struct registers) == 272, "REGISTERS_SIZE in entry.S");

void unexpected(void);

static int fixed_up(struct registers *registers)
{
	const struct exception_table_entry *entry = __start___ex_table;

	for (; entry < __stop___ex_table; entry++) {
		if ((u64)prel32(&entry->insn) != registers->pc || entry->type != EX_TYPE_KACCESS_ERR_ZERO)
			continue;
		registers->x[EX_DATA_ERROR(entry->data)] = -EFAULT;
		registers->x[EX_DATA_ZERO(entry->data)] = 0;
		registers->pc = (u64)prel32(&entry->fixup);
		return 1;
	}
	return 0;
}

static int was_only_a_warning(struct registers *registers)
{
	const struct bug_entry *entry = __start___bug_table;

	for (; entry < __stop___bug_table; entry++) {
		if ((u64)prel32(&entry->addr) != registers->pc || !(entry->flags & BUGFLAG_WARNING))
			continue;
		print("warning at ");
		print(prel32(&entry->file));
		print(":");
		print_unsigned(entry->line);
		print(", as __bug_table says\n");
		registers->pc += sizeof(u32);
		return 1;
	}
	return 0;
}

void synchronous_exception(struct registers *registers)
{
	switch (EXCEPTION_CLASS(registers->syndrome)) {
	case DATA_ABORT_IN_KERNEL:
		if (fixed_up(registers))
			return;
		break;
	case BREAKPOINT_INSTRUCTION:
		if (was_only_a_warning(registers))
			return;
		break;
	}
	print("pc ");
	print_hex(registers->pc);
	print("\n");
	unexpected();
}

void unexpected(void)
{
	print("unexpected exception\n");
	power_off();
}
