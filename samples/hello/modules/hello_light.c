/* Needs the kernel alone: a namespace of it, a weak need that it meets, and one that nobody does. */
#include "module.h"

MODULE_LICENSE("GPL v2");
MODULE_AUTHOR("hello <hello@sample>");
MODULE_DESCRIPTION("A light, and what it is worth saying of it");
MODULE_ALIAS("char-major-10-235");
MODULE_ALIAS("devname:hello/light");
MODULE_ALIAS("hello-light-[0-9]-*");
MODULE_SOFTDEP("pre: hello hello_text post: hello_bell");
MODULE_IMPORT_NS(HELLO_UART);

const char *__weak greeting(void);
void __weak light_colour(u32 colour);

/* Read from memory: else the compiler reads them from a global offset table, which a module does not have. */
static const char *(*volatile to_say)(void) = greeting;
static void (*volatile to_colour)(u32 colour) = light_colour;

int __init init_module(void)
{
	const char *(*say)(void) = to_say;
	void (*colour)(u32 colour) = to_colour;

	if (say)
		print(say());
	if (colour)
		colour(0xffffff);
	uart_print("the light is on\n");
	return 0;
}

void __exit cleanup_module(void)
{
	uart_print("the light is off\n");
}
