#include "json.h"

#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

static const Value NOTHING = {NULL, NULL};

static const char *skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
    at++;
  }
  return at;
}

static const char *skip_string(const char *at, const char *end) {
  for (at++; at < end && *at != '"'; at++) {
    if (*at == '\\') {
      at++;
    }
  }
  return at < end ? at + 1 : end;
}

/* The end of the value at `at`: brackets are counted, so depth costs no stack. */
static const char *skip_value(const char *at, const char *end) {
  size_t depth = 0;
  while (at < end) {
    if (*at == '"') {
      at = skip_string(at, end);
    } else if (*at == '{' || *at == '[') {
      depth++;
      at++;
    } else if (*at == '}' || *at == ']') {
      if (depth == 0) {
        return at;
      }
      depth--;
      at++;
    } else if (depth == 0 && (*at == ',' || *at == ':' || *at == ' ' || *at == '\n' ||
                              *at == '\t' || *at == '\r')) {
      return at;
    } else {
      at++;
      if (depth == 0) {
        continue;
      }
    }
    if (depth == 0 && (at[-1] == '"' || at[-1] == '}' || at[-1] == ']')) {
      return at;
    }
  }
  return end;
}

static Value value_at(const char *at, const char *end) {
  at = skip_space(at, end);
  const char *after = skip_value(at, end);
  return after > at ? (Value){at, after} : NOTHING;
}

Value json_document(Text text) { return value_at(text.start, text.start + text.size); }

static bool is_kind(Value value, char first) { return value.start != NULL && *value.start == first; }

/* After a comma; the closing bracket itself if there is none. */
static const char *after_comma(const char *at, const char *end) {
  at = skip_space(at, end);
  return at < end && *at == ',' ? skip_space(at + 1, end) : at;
}

Value json_member(Value object, Text name) {
  Value found = NOTHING;
  if (!is_kind(object, '{')) {
    return found;
  }
  const char *end = object.end - 1;
  const char *at = skip_space(object.start + 1, end);
  while (at < end) {
    Value key = value_at(at, end);
    if (key.start == NULL) {
      return NOTHING;
    }
    at = skip_space(key.end, end);
    if (at >= end || *at != ':') {
      return NOTHING;
    }
    Value value = value_at(at + 1, end);
    if (value.start == NULL) {
      return NOTHING;
    }
    if (json_is(key, name)) {
      found = value;
    }
    at = after_comma(value.end, end);
  }
  return found;
}

Value json_next(Value array, Value item) {
  if (!is_kind(array, '[')) {
    return NOTHING;
  }
  const char *end = array.end - 1;
  const char *at = item.start == NULL ? array.start + 1 : after_comma(item.end, end);
  return value_at(at, end);
}

bool json_is_array(Value value) { return is_kind(value, '['); }

size_t json_count(Value array) {
  size_t count = 0;
  for (Value item = json_next(array, NOTHING); item.start != NULL; item = json_next(array, item)) {
    count++;
  }
  return count;
}

static int32_t hex_digit(char letter) {
  if (letter >= '0' && letter <= '9') {
    return letter - '0';
  }
  letter |= 0x20;
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* The character after a backslash; `at` moves behind it. */
static int32_t escaped(const char **at, const char *end) {
  static const char LETTERS[] = "\"\\/bfnrt";
  static const char MEANT[] = "\"\\/\b\f\n\r\t";
  if (*at >= end) {
    return -1;
  }
  char letter = *(*at)++;
  if (letter == 'u') {
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
      int32_t digit = *at < end ? hex_digit(*(*at)++) : -1;
      if (digit < 0) {
        return -1;
      }
      unit = unit << 4 | digit;
    }
    return unit;
  }
  for (size_t i = 0; LETTERS[i] != '\0'; i++) {
    if (LETTERS[i] == letter) {
      return MEANT[i];
    }
  }
  return -1;
}

/* Decodes a string one UTF-16 unit at a time, so that both ways to write a character are equal. */
typedef struct {
  const char *at;
  const char *end;
  int32_t low; /* second half of a pair, still to be given; 0 if there is none */
} Reader;

static Reader reader_of(Value string) {
  bool is_string = is_kind(string, '"') && string.end - string.start >= 2;
  return is_string ? (Reader){string.start + 1, string.end - 1, 0} : (Reader){NULL, NULL, 0};
}

static int32_t next_unit(Reader *reader) {
  if (reader->low != 0) {
    int32_t low = reader->low;
    reader->low = 0;
    return low;
  }
  if (reader->at >= reader->end) {
    return -1;
  }
  unsigned char first = (unsigned char)*reader->at++;
  if (first == '\\') {
    return escaped(&reader->at, reader->end);
  }
  if (first < 0x80) {
    return first;
  }
  int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  int32_t code = first & (0x3F >> more);
  for (; more > 0 && reader->at < reader->end; more--) {
    code = code << 6 | (*reader->at++ & 0x3F);
  }
  if (code < 0x10000) {
    return code;
  }
  reader->low = 0xDC00 | (code & 0x3FF);
  return 0xD800 | (code - 0x10000) >> 10;
}

bool json_same_string(Value one, Value other) {
  Reader left = reader_of(one);
  Reader right = reader_of(other);
  if (left.at == NULL || right.at == NULL) {
    return false;
  }
  int32_t unit;
  do {
    unit = next_unit(&left);
    if (unit != next_unit(&right)) {
      return false;
    }
  } while (unit >= 0);
  return true;
}

bool json_is(Value string, Text expected) {
  Reader reader = reader_of(string);
  if (reader.at == NULL) {
    return false;
  }
  for (size_t i = 0; i < expected.size; i++) {
    if (next_unit(&reader) != (unsigned char)expected.start[i]) {
      return false;
    }
  }
  return next_unit(&reader) < 0;
}

size_t json_length(Value string) {
  Reader reader = reader_of(string);
  if (reader.at == NULL) {
    return SIZE_MAX;
  }
  size_t length = 0;
  while (next_unit(&reader) >= 0) {
    length++;
  }
  return length;
}

int32_t json_character(Value string, size_t index) {
  Reader reader = reader_of(string);
  int32_t unit = reader.at == NULL ? -1 : next_unit(&reader);
  for (; index > 0 && unit >= 0; index--) {
    unit = next_unit(&reader);
  }
  return unit;
}

bool json_integer(Value value, int64_t *number) {
  const char *at = value.start;
  if (at == NULL || at == value.end) {
    return false;
  }
  bool negative = *at == '-';
  at += negative ? 1 : 0;
  if (at == value.end) {
    return false;
  }
  int64_t total = 0;
  for (; at < value.end; at++) {
    if (*at < '0' || *at > '9') {
      return false;
    }
    total = total * 10 + (*at - '0');
    if (total > INTEGER_MAX) {
      return false;
    }
  }
  *number = negative ? -total : total;
  return true;
}
