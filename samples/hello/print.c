/* Text for the serial port and for a log in .bss. */
#include "export.h"
#include "kernel.h"

/* The PL011 of QEMU's virt machine. It works as it comes out of reset. */
#define UART_DATA (*(volatile u32 *)0x09000000)
#define UART_FLAGS (*(volatile u32 *)0x09000018)
#define UART_TRANSMIT_FULL (1 << 5)

/* The log is for whoever looks at memory after the end: a debugger, or a dump. */
char log_buffer[1024];
u64 log_length;
EXPORT_SYMBOL_GPL(log_buffer);
EXPORT_SYMBOL_GPL(log_length);

void uart_print(const char *text)
{
	for (; *text; text++) {
		while (UART_FLAGS & UART_TRANSMIT_FULL)
			;
		UART_DATA = *text;
	}
}
EXPORT_SYMBOL_NS(uart_print, HELLO_UART);

/* "print" ends "uart_print": the linker stores one string for both names. */
void print(const char *text)
{
	u64 length = strlen(text);

	for (u64 i = 0; i < length && log_length < sizeof(log_buffer); i++)
		log_buffer[log_length++] = text[i];
	uart_print(text);
}
EXPORT_SYMBOL(print);

int number_text(char *text, u64 number, u32 base)
{
	int length = number < base ? 0 : number_text(text, number / base, base);

	text[length] = "0123456789abcdef"[number % base];
	text[length + 1] = '\0';
	return length + 1;
}

static void print_in_base(u64 number, u32 base)
{
	char text[NUMBER_TEXT_SIZE];

	number_text(text, number, base);
	print(text);
}

void print_unsigned(u64 number)
{
	print_in_base(number, 10);
}
EXPORT_SYMBOL(print_unsigned);

void print_hex(u64 number)
{
	print("0x");
	print_in_base(number, 16);
}
EXPORT_SYMBOL(print_hex);
