/* The banner, with its build number. */
#include "kernel.h"
#include "release.h"

const char linux_banner[] =
	"Linux version " UTS_RELEASE " (" BUILT_BY ") (" COMPILER ") #" BUILD_NUMBER " " BUILD_REST "\n";
