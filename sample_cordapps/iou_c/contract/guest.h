/* The world `contract` of cordbox:guest@1.0.0 in C: what a contract gives, and what it gets. */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8 text that belongs to somebody else; not terminated. */
typedef struct {
  const char *start;
  size_t size;
} Text;

#define TEXT(literal) ((Text){(literal), sizeof(literal) - 1})

/* The contract's own description: the JSON that `describe` answers. */
extern const Text description;

/* NULL if the transaction is accepted, else the failures as terminated JSON. */
const char *refusal_of(Text transaction);

#endif
