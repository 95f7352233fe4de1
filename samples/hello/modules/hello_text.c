/* Exports of every kind: plain and for the GPL, functions and data, with and without a namespace. */
#include "module.h"
#include "text.h"

MODULE_LICENSE("GPL");
MODULE_AUTHOR("hello <hello@sample>");
MODULE_DESCRIPTION("Text, turned this way and that");

u32 text_calls;
EXPORT_SYMBOL(text_calls);

void text_capitals(char *text)
{
	text_calls++;
	for (; *text; text++)
		if (*text >= 'a' && *text <= 'z')
			*text -= 'a' - 'A';
}
EXPORT_SYMBOL(text_capitals);

void text_reverse(char *text)
{
	char *end = text + strlen(text);

	text_calls++;
	while (text < end) {
		char letter = *--end;

		*end = *text;
		*text++ = letter;
	}
}
EXPORT_SYMBOL_GPL(text_reverse);

void text_rot13(char *text)
{
	text_calls++;
	for (; *text; text++)
		if (*text >= 'a' && *text <= 'z')
			*text = (*text - 'a' + 13) % 26 + 'a';
}
EXPORT_SYMBOL_NS_GPL(text_rot13, HELLO_TEXT);
