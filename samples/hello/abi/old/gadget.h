/* The types of the old kernel. */
#ifdef __GENKSYMS__
#define EXPORT_SYMBOL(name) __GENKSYMS_EXPORT_SYMBOL(name)
#else
#define EXPORT_SYMBOL(name) struct driver /* a declaration, so that a semicolon may follow */
#endif

enum power { POWER_OFF, POWER_ON };

struct device {
	const char *name;
	struct device *parent;
	unsigned char flags;
};

struct clock {
	unsigned long rate;
};

struct gadget {
	struct device dev;
	struct clock *clock;
	enum power power;
};

struct driver;

int gadget_register(struct gadget *gadget);
void gadget_remove(struct gadget *gadget);
enum power gadget_power(const struct gadget *gadget);
unsigned long clock_rate(struct clock *clock);
const char *driver_name(const struct driver *driver);
extern struct clock system_clock;
