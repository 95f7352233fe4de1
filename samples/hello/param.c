/* The one type of parameter there is: an unsigned int, which can be read. */
#include "param.h"

static int param_get_uint(char *text, const struct kernel_param *param)
{
	return number_text(text, *(u32 *)param->arg, 10);
}

const struct kernel_param_ops param_ops_uint = { .get = param_get_uint };
