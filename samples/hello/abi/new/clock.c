#include "gadget.h"

unsigned long clock_rate(const struct clock *clock, int exact)
{
	return exact ? clock->rate : clock->rate / 1000 * 1000;
}

EXPORT_SYMBOL(clock_rate);
