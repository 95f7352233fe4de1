/*
 * The only program of the machine that the load tests boot: it hands modules to the kernel and says what came of it.
 *
 * It reads /cases, a command a line, and writes to the serial port:
 *   load PATH FLAGS    finit_module() in a process of its own; answers "@load ERRNO", with errno 0 when the module is in,
 *                      "@load 1000" when the kernel killed that process, as after an oops, and "@load 1001" when it hangs:
 *                      then nothing else is asked
 *   unload NAME        delete_module(); answers "@unload ERRNO"
 *   taint NAME         answers "@taint LETTERS", as /sys/module/NAME/taint has them
 * After each answer come the lines of the kernel's log since the one before, each as "@log TEXT", then "@end".
 * No C library: a cross compiler alone builds it.
 */
typedef unsigned long word;

static long syscall6(long number, word a, word b, word c, word d, word e, word f)
{
	register long x8 __asm__("x8") = number;
	register word x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register word x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return (long)x0;
}

#define CALL(number, a, b, c, d, e) syscall6(number, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), 0)

enum { MOUNT = 40, OPENAT = 56, CLOSE = 57, READ = 63, WRITE = 64, EXIT = 93, DELETE_MODULE = 106, REBOOT = 142 };
enum { NANOSLEEP = 101, KILL = 129, CLONE = 220, WAIT4 = 260, FINIT_MODULE = 273 };
enum { SIGKILL = 9, SIGCHLD = 17, WNOHANG = 1, KILLED = 1000, HUNG = 1001, MILLISECOND = 1000000, LONGEST = 10000 };
enum { O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_NONBLOCK = 04000, HERE = -100 };

static char cases[1 << 20], record[8192], out[16384];
static int serial, log_file, log_end;

static unsigned length(const char *text)
{
	unsigned n = 0;

	while (text[n])
		n++;
	return n;
}

static void write_all(const char *text, unsigned size)
{
	while (size) {
		long n = CALL(WRITE, serial, text, size, 0, 0);

		if (n <= 0)
			return;
		text += n;
		size -= n;
	}
}

static void say(const char *text)
{
	write_all(text, length(text));
}

static void answer(const char *what, long error)
{
	char digits[24], *p = digits + sizeof(digits);

	*--p = 0;
	*--p = '\n';
	error = error < 0 ? -error : 0;
	do
		*--p = '0' + error % 10;
	while (error /= 10);
	say(what);
	say(p);
}

/*
 * A message without a newline is held back until the next one: so one of our own goes behind it, and is not told.
 * A record of /dev/kmsg is "PRIORITY,SEQUENCE,TIME,-;TEXT\n", and lines of more beginning with a blank.
 */
static void tell_log(void)
{
	CALL(WRITE, log_end, "@\n", 2, 0, 0);
	for (;;) {
		long n = CALL(READ, log_file, record, sizeof(record) - 1, 0, 0), i = 0, used = 0;

		if (n == -32) /* EPIPE: records were lost; the next read goes on after them */
			continue;
		if (n <= 0)
			break;
		record[n] = 0;
		while (i < n && record[i] != ';')
			i++;
		for (i++; i < n && record[i] != '\n' && used < (long)sizeof(out) - 8; i++)
			out[used++] = record[i];
		if (used == 1 && out[0] == '@')
			continue;
		out[used++] = '\n';
		say("@log ");
		write_all(out, used);
	}
	say("@end\n");
}

/* Another process loads the module, so that an oops ends only that. Without a stack of its own it is as after fork(). */
static long load(const char *name, long flags)
{
	static const word pause[2] = { 0, MILLISECOND };
	long file = CALL(OPENAT, HERE, name, O_RDONLY, 0, 0), error, child, waited;
	int status = 0;

	if (file < 0)
		return file;
	child = CALL(CLONE, SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		error = CALL(FINIT_MODULE, file, "", flags, 0, 0);
		CALL(EXIT, error < 0 ? -error : 0, 0, 0, 0, 0);
	}
	CALL(CLOSE, file, 0, 0, 0, 0);
	if (child < 0)
		return child;
	for (waited = 0; CALL(WAIT4, child, &status, WNOHANG, 0, 0) != child; waited++) {
		if (waited == LONGEST) {
			CALL(KILL, child, SIGKILL, 0, 0, 0);
			return -HUNG;
		}
		CALL(NANOSLEEP, pause, 0, 0, 0, 0);
	}
	return -(status & 0x7f ? KILLED : status >> 8 & 0xff);
}

/* The text up to a letter or the end of the line; names of modules may have any letter but a newline. */
static char *next_word(char **at, char end)
{
	char *word = *at;

	while (**at && **at != end && **at != '\n')
		++*at;
	if (**at)
		*(*at)++ = 0;
	return word;
}

static void tell_taint(const char *name)
{
	static char path[256];
	const char *parts[] = { "/sys/module/", name, "/taint" };
	unsigned used = 0, part, i;
	long file, n;

	for (part = 0; part < 3; part++)
		for (i = 0; parts[part][i] && used < sizeof(path) - 1; i++)
			path[used++] = parts[part][i];
	path[used] = 0;
	file = CALL(OPENAT, HERE, path, O_RDONLY, 0, 0);
	n = file < 0 ? 0 : CALL(READ, file, record, 100, 0, 0);
	say("@taint ");
	write_all(record, n > 0 ? n : 0);
	if (n <= 0)
		say("?\n");
	CALL(CLOSE, file, 0, 0, 0, 0);
}

void start(void)
{
	char *at = cases;
	long size = 0, n, file;

	serial = CALL(OPENAT, HERE, "/dev/serial", O_RDWR, 0, 0);
	log_file = CALL(OPENAT, HERE, "/dev/kmsg", O_RDONLY | O_NONBLOCK, 0, 0);
	log_end = CALL(OPENAT, HERE, "/dev/kmsg", O_WRONLY, 0, 0);
	CALL(MOUNT, "sysfs", "/sys", "sysfs", 0, 0);
	file = CALL(OPENAT, HERE, "/cases", O_RDONLY, 0, 0);
	while ((n = CALL(READ, file, cases + size, sizeof(cases) - 1 - size, 0, 0)) > 0)
		size += n;
	say("@boot\n");
	tell_log();
	while (*at) {
		char *what = next_word(&at, ' '), *name = next_word(&at, what[0] == 'l' ? ' ' : '\n');

		if (what[0] == 'l') {
			long flags = *next_word(&at, '\n') - '0';

			file = load(name, flags);
			answer("@load ", file);
			if (file == -HUNG) {
				tell_log();
				break;
			}
		} else if (what[0] == 'u') {
			answer("@unload ", CALL(DELETE_MODULE, name, O_NONBLOCK, 0, 0, 0));
		} else {
			tell_taint(name);
		}
		tell_log();
	}
	if (!*at)
		say("@done\n");
	CALL(REBOOT, 0xfee1dead, 672274793, 0x4321fedc, 0, 0);
	for (;;)
		;
}

__asm__(".globl _start\n_start: mov x29, xzr\n mov x30, xzr\n bl start\n");
