/* Parameters in the way of module_param: an entry of __param, its name, and the variable it sets. */
#ifndef PARAM_H
#define PARAM_H

#include "kernel.h"

#define PARAM_READABLE 0444

extern const struct kernel_param_ops param_ops_uint;

#define PARAM_UINT(module, variable) \
	static const char __param_str_##variable[] = #module "." #variable; \
	static const struct kernel_param __param_##variable \
		__attribute__((used, section("__param"), aligned(8))) = { \
		.name = __param_str_##variable, \
		.ops = &param_ops_uint, \
		.perm = PARAM_READABLE, \
		.level = -1, \
		.arg = &variable, \
	}

#endif
