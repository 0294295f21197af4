/* starter: the small built-in model (app/starter.gguf), embedded by the build. A toy. */
#ifndef PUMICE_APP_STARTER_H
#define PUMICE_APP_STARTER_H

#include <stddef.h>

/* The bytes of app/starter.gguf; they live as long as the program. */
void starter_get(const void **data, size_t *bytes);

#endif
