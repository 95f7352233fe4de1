/*
 * A module that fails, some calls deep and in inlined functions. FAULT says how. It needs no headers of a kernel: its
 * other parts are made for each kernel, as those of the other modules of these tests.
 */
#define NOINLINE __attribute__((noinline, noclone))

struct item {
	long key;
	int values[4];
	struct item *next;
};

extern int _printk(const char *format, ...);
extern void dump_stack(void);
extern void kfree(const void *memory);
extern void refcount_warn_saturate(int *count, int kind);
extern void sort(void *base, unsigned long number, unsigned long size, int (*compare)(const void *, const void *),
		 void (*swap)(void *, void *, int));
extern void __stack_chk_fail(void);

static struct item items[3];
static int count = 1;

static inline __attribute__((always_inline)) int value_of(const struct item *item, int at)
{
	return *(const volatile int *)&item->values[at];
}

static inline __attribute__((always_inline)) int sum_of(const struct item *item)
{
	return value_of(item, 0) +
	       value_of(item, 2);
}

static NOINLINE int walk(const struct item *item)
{
	int sum = 0;

	do
		sum += sum_of(item);
	while ((item = item->next) || !sum);
	return sum;
}

static int compare(const void *one, const void *other)
{
	if (walk(one) > 0)
		return 1;
	return sum_of(other) > 0 ? -1 : walk(items[2].next);
}

static NOINLINE int fail(void)
{
	switch (FAULT) {
	case 1:
		return walk(&items[0]);
	case 2:
		__asm__ volatile("brk #0x800");
		return 2;
	case 3:
		refcount_warn_saturate(&count, 3);
		return 3;
	case 4:
		sort(items, 3, sizeof(items[0]), compare, 0);
		return 4;
	case 5:
		dump_stack();
		return 5;
	case 6:
		kfree((void *)&items[0].values);
		return 6;
	case 7:
		__stack_chk_fail();
		return 7;
	default:
		for (;;)
			count += sum_of(&items[count & 1]);
	}
}

int __attribute__((section(".init.text"))) init_module(void)
{
	int failed = fail();

	_printk("oops: survived %d\n", failed);
	return -failed;
}
