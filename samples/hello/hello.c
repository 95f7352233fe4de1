/* From here on C, at the linked addresses. Each line printed shows that one of the kernel's tables can be used. */
#include "export.h"
#include "kernel.h"
#include "param.h"
#include "trap.h"

/* Within reach of ttbr0, but beyond the gigabytes that early.c has mapped there. */
#define NOWHERE 0x4000000000ul

static u32 repeat = 1;
PARAM_UINT(hello, repeat);

static u32 self_test = 1;
PARAM_UINT(hello, self_test);

static char place[] __initdata = "loaded at ";

/* Weak, so that the export table has a value that is a weak symbol's. */
const char *__weak greeting(void)
{
	return "Hello from a tiny arm64 kernel\n";
}
EXPORT_SYMBOL(greeting);

static void __init print_exports(void)
{
	print_unsigned(__stop___ksymtab - __start___ksymtab);
	print(" symbols exported, and ");
	print_unsigned(__stop___ksymtab_gpl - __start___ksymtab_gpl);
	print(" for GPL modules only\n");
}

static void __init print_parameters(void)
{
	char text[NUMBER_TEXT_SIZE];

	for (const struct kernel_param *param = __start___param; param < __stop___param; param++) {
		param->ops->get(text, param);
		print("parameter ");
		print(param->name);
		print("=");
		print(text);
		print("\n");
	}
}

static void __init test_exceptions(void)
{
	u32 value;

	print("a load from ");
	print_hex(NOWHERE);
	print(probe_read(NOWHERE, &value) == -EFAULT ? " failed, and __ex_table had the way on\n" : " went through\n");
	WARN();
}

void __init __attribute__((noreturn)) start_kernel(void)
{
	void (*off)(void);

	for (u32 i = 0; i < repeat; i++)
		print(greeting());
	print(linux_banner);
	print(place);
	print_hex(physical_base);
	print("\n");
	print_exports();
	print_parameters();
	if (self_test)
		test_exceptions();

	off = find_export(__start___ksymtab_gpl, __stop___ksymtab_gpl, "power_off");
	print(off ? "power_off found among the exports\n" : "power_off not found among the exports\n");
	if (off)
		off();
	power_off();
}
