/* Reads JSON in place: nothing is copied, and nothing is allocated.
 *
 * A Value is a piece of the document. The document comes from the host, which writes valid JSON;
 * whatever is cut short or of another kind than asked for reads as "nothing".
 */
#ifndef JSON_H
#define JSON_H

#include "guest.h"

typedef struct {
  const char *start; /* NULL: nothing */
  const char *end;
} Value;

Value json_document(Text text);

/* The member of an object; the last one of that name, as most parsers have it. */
Value json_member(Value object, Text name);

/* The item after `item`, or the first one if `item` is nothing; nothing at the end. */
Value json_next(Value array, Value item);

bool json_is_array(Value value);

size_t json_count(Value array);

/* Whether both are strings of the same characters, however they are escaped. */
bool json_same_string(Value one, Value other);

bool json_is(Value string, Text expected);

/* How many characters (UTF-16 units) a string has; SIZE_MAX if it is none. */
size_t json_length(Value string);

/* Character `index` of a string; -1 beyond its end. */
int32_t json_character(Value string, size_t index);

/* Whether `value` is a whole number that every JSON reader keeps (53 bits); goes to `number`. */
bool json_integer(Value value, int64_t *number);

#endif
