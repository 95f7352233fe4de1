#include "gadget.h"

unsigned long clock_rate(struct clock *clock)
{
	return clock->rate;
}

EXPORT_SYMBOL(clock_rate);
