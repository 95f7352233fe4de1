/* What the kernel's own hello.c would say of itself, had it been a module: the way to modules.builtin. */
#define MODINFO_PREFIX "hello."
#include "module.h"

MODULE_INFO(parmtype, "self_test:uint");
MODULE_INFO(parmtype, "repeat:uint");
MODULE_INFO(file, "init/hello");
MODULE_LICENSE("GPL");
MODULE_AUTHOR("hello <hello@sample>");
MODULE_DESCRIPTION("Prints a few lines and turns the machine off");
MODULE_ALIAS("platform:hello");
