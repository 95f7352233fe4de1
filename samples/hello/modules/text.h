/* What hello_text exports. */
#ifndef TEXT_H
#define TEXT_H

#include "kernel.h"

u64 text_count(const char *text, char letter);
void text_capitals(char *text);
void text_reverse(char *text);
void text_rot13(char *text);
extern u32 text_calls;

#endif
