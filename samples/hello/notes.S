/* Notes named "Linux". The linker puts the GNU build id in front of them, in the same .notes section. */
#include "release.h"

#define BUILD_SALT		0x100
#define LTO_INFO		0x101

	.macro	linux_note type, size
	.long	6, \size, \type			// 6: "Linux" and its end
	.asciz	"Linux"
	.balign	4
	.endm

	.section .note.Linux, "a", %note
	.balign	4
	linux_note LTO_INFO, 4
	.long	0

	linux_note BUILD_SALT, .Lsalt_end - .Lsalt
.Lsalt:
	.asciz	UTS_RELEASE
.Lsalt_end:
	.balign	4
