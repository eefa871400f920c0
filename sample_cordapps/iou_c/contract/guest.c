/* The canonical ABI by hand: how the component model calls a core module. */
#include "guest.h"

#define PAGE_BYTES 65536u
#define EXPORT(name) __attribute__((export_name(name)))

extern unsigned char __heap_base;

/* A call has an instance of its own, so memory is handed out and never taken back. */
EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t new_size) {
  static uintptr_t next;
  if (next == 0) {
    next = (uintptr_t)&__heap_base;
  }
  uintptr_t start = (next + align - 1) & ~(uintptr_t)(align - 1);
  uintptr_t end = start + new_size;
  size_t pages = __builtin_wasm_memory_size(0);
  if (end < start) {
    __builtin_trap();
  }
  if (end > pages * PAGE_BYTES) {
    size_t more = (end - pages * PAGE_BYTES + PAGE_BYTES - 1) / PAGE_BYTES;
    if (__builtin_wasm_memory_grow(0, more) == (size_t)-1) {
      __builtin_trap();
    }
  }
  next = end;
  const unsigned char *from = old;
  unsigned char *to = (unsigned char *)start;
  for (size_t i = 0; i < old_size && i < new_size; i++) {
    to[i] = from[i];
  }
  return to;
}

/* result<_, string>: a tag, then the text of the error. */
EXPORT("verify")
const void *verify(const char *start, size_t size) {
  static struct {
    uint32_t is_error;
    Text error;
  } answer;
  const char *refusal = refusal_of((Text){start, size});
  answer.is_error = refusal != NULL;
  if (refusal != NULL) {
    size_t length = 0;
    while (refusal[length] != '\0') {
      length++;
    }
    answer.error = (Text){refusal, length};
  }
  return &answer;
}

EXPORT("describe")
const void *describe(void) { return &description; }
