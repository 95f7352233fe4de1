/* Exports of a kernel that does nothing: only their types matter. */
#include "gadget.h"


struct driver {
	const char *name;
};

struct clock system_clock = { 24000000 };

int gadget_register(struct gadget *gadget)
{
	gadget->power = POWER_ON;
	return 0;
}

void gadget_remove(struct gadget *gadget)
{
	gadget->power = POWER_OFF;
}

enum power gadget_power(const struct gadget *gadget)
{
	return gadget->power;
}

const char *driver_name(const struct driver *driver)
{
	return driver->name;
}


EXPORT_SYMBOL(gadget_register);
EXPORT_SYMBOL(gadget_remove);
EXPORT_SYMBOL(gadget_power);
EXPORT_SYMBOL(driver_name);
EXPORT_SYMBOL(system_clock);
