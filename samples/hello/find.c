/* A search in the export tables, by bisection: right only when they are sorted by name. */
#include "export.h"
#include "kernel.h"

static int order(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (u8)*a - (u8)*b;
}

const void *find_export(const struct kernel_symbol *first, const struct kernel_symbol *end, const char *name)
{
	while (first < end) {
		const struct kernel_symbol *middle = first + (end - first) / 2;
		int side = order(name, prel32(&middle->name));

		if (side == 0)
			return prel32(&middle->value);
		if (side < 0)
			end = middle;
		else
			first = middle + 1;
	}
	return NULL;
}
EXPORT_SYMBOL_GPL(find_export);
