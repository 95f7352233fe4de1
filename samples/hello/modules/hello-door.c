/* Needs hello_text and its namespace, and has a parameter. The file's name has a dash, the module's does not. */
#include "module.h"
#include "text.h"

MODULE_LICENSE("Dual BSD/GPL");
MODULE_AUTHOR("hello <hello@sample>");
MODULE_AUTHOR("another <another@sample>");
MODULE_DESCRIPTION("A door with a password");
MODULE_ALIAS("of:N*T*Chello,door");
MODULE_ALIAS("of:N*T*Chello,doorC*");
MODULE_ALIAS("platform:hello-door");
MODULE_IMPORT_NS(HELLO_TEXT);

static u32 knocks = 3;

static int set_digit(const char *text, const struct kernel_param *param)
{
	*(u32 *)param->arg = text[0] - '0';
	return 0;
}

static const struct kernel_param_ops digit_ops = { .set = set_digit };
MODULE_PARAM(knocks, "uint", digit_ops, 0644, "How often to knock, at most 9 times (3)");

static char password[] __initdata = "frfnzr\n";

void door_knock(void)
{
	for (u32 i = 0; i < knocks; i++)
		print("knock\n");
}
EXPORT_SYMBOL_GPL(door_knock);

int __init init_module(void)
{
	door_knock();
	text_rot13(password);
	text_capitals(password);
	print(password);
	return text_count(password, 'E') == 2 ? 0 : -EFAULT;
}

void __exit cleanup_module(void)
{
	print("the door is closed\n");
}
