/*
 * A banner for the time before the build number is known. The weak symbol loses against version-final.c, but its
 * bytes stay in .rodata, at the lower address: the first "Linux version" of a kernel is not the one to believe.
 */
#include "kernel.h"
#include "release.h"

const char linux_banner[] __weak =
	"Linux version " UTS_RELEASE " (" BUILT_BY ") (" COMPILER ") # " BUILD_REST "\n";
