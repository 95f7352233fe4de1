/* Off, by PSCI: a call to whatever is above the kernel. */
#include "export.h"
#include "kernel.h"

#define PSCI_SYSTEM_OFF 0x84000008

/* An alternative: the instruction that is there, and the one early.c puts in its place. */
static void psci_call(u64 function)
{
	register u64 x0 asm("x0") = function;

	asm volatile("1:	hvc	#0\n"
		     "	.subsection 1\n"
		     "2:	smc	#0\n"
		     "	.previous\n"
		     "	.pushsection .altinstructions, \"a\"\n"
		     "	.long	1b - ., 2b - .\n"
		     "	.short	%c1\n"
		     "	.byte	4, 4\n"
		     "	.popsection"
		     : "+r"(x0)
		     : "i"(CAP_PSCI_BY_SMC)
		     : "x1", "x2", "x3", "memory");
}

void power_off(void)
{
	psci_call(PSCI_SYSTEM_OFF);
	for (;;)
		asm volatile("wfi");
}
EXPORT_SYMBOL_GPL(power_off);
