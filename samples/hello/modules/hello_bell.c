/* Installed compressed. Needs a module that needs a module, and what the kernel exports for the GPL alone. */
#include "module.h"
#include "text.h"

MODULE_LICENSE("GPL");
MODULE_AUTHOR("hello <hello@sample>");
MODULE_DESCRIPTION("Rings when somebody is at the door");
MODULE_ALIAS("platform:hello-bell");

void door_knock(void);

static char ring[] = "!gnir\n";

int init_module(void)
{
	u64 before = log_length;

	door_knock();
	text_reverse(ring);
	print(ring);
	print_unsigned(log_length - before);
	return 0;
}
